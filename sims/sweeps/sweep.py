"""Policies x worlds x seeds on tables: every run alone, in parallel, and the same whoever runs it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np

from highwayman.env.errors import ConfigError
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import Prepared
from highwayman.sims.sweeps.results import Arms, Bin, Ratios, Results, Run, Setting
from highwayman.sims.sweeps.trial import EDGES, Log, Trial, Tried, tried

Progress = Callable[[int, int], None]  # runs done, runs in all


@dataclass(frozen=True, slots=True)
class Machines:
    """Where the runs go: on processes of this machine, or on a Ray cluster that is there already."""

    jobs: int = 1
    ray: str | None = None  # the cluster's address, or "auto"


def sweep(
    plan: Plan, tables: Sequence[Prepared], *, machines: Machines, progress: Progress, manifest: dict[str, Any]
) -> Results:
    """Return what every run of the plan came to; equal plans and tables give equal results.

    Args:
        plan: checked.
        tables: prepared for it.
        machines: where.
        progress: is told after each run.
        manifest: goes into the results as it is.

    Raises:
        ConfigError: joblib or Ray is missing.
        WorldError: a world does not fit a table.
    """
    trials = list(_trials(plan, tables))
    gathered = _Gathered(plan)
    by_name = {table.name: table for table in tables}
    for number, found in enumerate(_run(trials, by_name, machines), start=1):
        gathered.take(trials[number - 1], found)
        progress(number, len(trials))
    arms = {table.name: table.arms(plan.cost_weights[0]) for table in tables}
    results = gathered.results(arms, manifest)
    results.check()
    return results


def _trials(plan: Plan, tables: Iterable[Prepared]) -> Iterator[Trial]:
    seeds = range(plan.first_seed, plan.first_seed + plan.seeds)
    for table, world, seed in product(tables, plan.worlds, seeds):
        for policy, weight in product(plan.policies, plan.cost_weights):
            yield Trial(table.name, world, policy, seed, weight, plan)
        yield Trial(table.name, world, None, seed, plan.cost_weights[0], plan)


def _run(trials: Sequence[Trial], tables: dict[str, Prepared], machines: Machines) -> Iterator[Tried]:
    joblib = _needed("joblib")
    with _backend(joblib, machines):
        # In the order of the trials, whichever is done first: results do not depend on how many work at them.
        parallel = joblib.Parallel(n_jobs=machines.jobs, return_as="generator")
        yield from parallel(joblib.delayed(tried)(trial, tables[trial.table]) for trial in trials)


def _backend(joblib: Any, machines: Machines) -> AbstractContextManager[Any]:
    if machines.ray is None:
        return nullcontext()
    ray = _needed("ray", "ray, on the version that the cluster runs")
    ray.init(address=machines.ray, ignore_reinit_error=True)
    _needed("ray.util.joblib", "ray").register_ray()
    found: AbstractContextManager[Any] = joblib.parallel_config(backend="ray")
    return found


def _needed(module: str, install: str = "'highwayman[sims]'") -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f"a sweep needs {module}: pip install {install} ({error})") from None


@dataclass(slots=True)
class _Gathered:
    """What has come back so far."""

    plan: Plan
    runs: list[Run] = field(default_factory=list)
    curves: list[Bin] = field(default_factory=list)
    settings: dict[tuple[str, str, str, float], list[tuple[float, float]]] = field(default_factory=dict)
    logs: dict[tuple[str, str, str], list[Log]] = field(default_factory=dict)

    def take(self, trial: Trial, found: Tried) -> None:
        """Keep what a trial came to."""
        if trial.policy is not None:
            (run,) = found.runs
            at = (trial.table, trial.world, trial.policy, trial.cost_weight)
            self.settings.setdefault(at, []).append((run.cost_usd, run.quality))
        if trial.cost_weight != self.plan.cost_weights[0]:
            return
        self.runs += found.runs
        self.curves += found.curves
        if found.log is not None and trial.policy is not None:
            self.logs.setdefault((trial.table, trial.world, trial.policy), []).append(found.log)

    def results(self, arms: dict[str, Arms], manifest: dict[str, Any]) -> Results:
        """Return it all, in order."""
        many = len(self.plan.cost_weights) > 1
        frontier = [
            Setting(*at, *(tuple(column) for column in zip(*found, strict=True)))
            for at, found in self.settings.items()
        ]  # fmt: skip
        ratios = [Ratios(*at, EDGES, *_pooled(logs)) for at, logs in self.logs.items()]
        return Results(
            tuple(self.runs), tuple(self.curves), arms, tuple(frontier) if many else (), tuple(ratios), manifest
        )


def _pooled(logs: Sequence[Log]) -> tuple[tuple[int, ...], float]:
    """Return the counts of the histogram and the effective sample size (Kong 1992) over all seeds."""
    counts = np.sum([log.counts for log in logs], axis=0)
    total, squares = sum(log.ratio for log in logs), sum(log.ratio_squared for log in logs)
    return tuple(int(count) for count in counts), float(total**2 / squares)
