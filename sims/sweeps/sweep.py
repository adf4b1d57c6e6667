"""Policies x worlds x seeds on tables: every run alone, in parallel, and the same whoever runs it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from highwayman.sims.sweeps.dial import DialSetting, dial_settings
from highwayman.sims.sweeps.machines import Machines
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import Prepared
from highwayman.sims.sweeps.results import Arms, Bin, Ratios, Results, RunResult, Setting
from highwayman.sims.sweeps.trial import EDGES, LogQuality, SweepTrial, TrialResult

Progress = Callable[[int, int], None]  # runs done, runs in all


def sweep(
    plan: Plan,
    tables: Sequence[Prepared],
    *,
    machines: Machines,
    progress: Progress,
    manifest: Mapping[str, Any],
) -> Results:
    """Return what every run of the plan came to; equal plans and tables give equal results.

    Args:
        plan: checked.
        tables: prepared for it, each under a name of its own.
        machines: where the runs go; checked.
        progress: is called after each run.
        manifest: goes into the results as it is.

    Raises:
        ConfigError: a library is missing, or no cluster answers.
        WorldError: a world does not fit a table.
    """
    dials = {table.name: dial_settings(table.table, plan) for table in tables}
    trials = list(_trials(plan, dials))
    gathered = _Gathered(dials)
    trial_results = machines.run(trials, {table.name: table for table in tables})
    for number, (trial, result) in enumerate(zip(trials, trial_results, strict=True), start=1):
        gathered.take(trial, result)
        progress(number, len(trials))
    arms = {table.name: table.arms(dials[table.name][0].objective) for table in tables}
    results = gathered.results(arms, manifest)
    results.check()
    return results


def _trials(plan: Plan, dials: Mapping[str, Sequence[DialSetting]]) -> Iterator[SweepTrial]:
    seeds = range(plan.first_seed, plan.first_seed + plan.seeds)
    for table, world, seed in product(dials, plan.worlds, seeds):
        for policy, gate, setting in product(plan.policies, (None, *plan.cascades), dials[table]):
            yield SweepTrial(table, world, policy, seed, setting, plan, gate)
        yield SweepTrial(table, world, None, seed, dials[table][0], plan)


@dataclass(slots=True)
class _Gathered:
    """What has come back so far."""

    dials: Mapping[str, Sequence[DialSetting]]  # by table
    runs: list[RunResult] = field(default_factory=list)
    curves: list[Bin] = field(default_factory=list)
    settings: dict[tuple[str, str, str, DialSetting], list[tuple[float, float]]] = field(default_factory=dict)
    logs: dict[tuple[str, str, str], list[LogQuality]] = field(default_factory=dict)

    def take(self, trial: SweepTrial, result: TrialResult) -> None:
        """Keep what a trial came to: at another setting than the first, only its place on the frontier."""
        if trial.policy is not None:
            (run,) = result.runs
            at = (trial.table, trial.world, trial.name, trial.setting)
            self.settings.setdefault(at, []).append((run.cost_usd, run.quality))
        if trial.setting != self.dials[trial.table][0]:
            return
        self.runs += result.runs
        self.curves += result.curves
        if result.log is not None and trial.policy is not None:
            self.logs.setdefault((trial.table, trial.world, trial.name), []).append(result.log)

    def results(self, arms: Mapping[str, Arms], manifest: Mapping[str, Any]) -> Results:
        """Return it all, in order; a frontier only where the dial has more than one setting."""
        frontier = []
        for (table, world, policy, setting), points in self.settings.items():
            if len(self.dials[table]) > 1:
                costs, qualities = zip(*points, strict=True)
                rate = setting.objective.points_per_usd
                frontier.append(Setting(table, world, policy, setting.cost_weight, costs, qualities, rate))
        ratios = [Ratios(*at, EDGES, *_pooled(logs)) for at, logs in self.logs.items()]
        return Results(tuple(self.runs), tuple(self.curves), arms, tuple(frontier), tuple(ratios), manifest)


def _pooled(logs: Sequence[LogQuality]) -> tuple[tuple[int, ...], float]:
    """Return the counts of the histogram and the effective sample size (Kong 1992) over all seeds."""
    counts = np.sum([log.counts for log in logs], axis=0)
    total, squares = sum(log.ratio for log in logs), sum(log.ratio_squared for log in logs)
    return tuple(counts.tolist()), total**2 / squares
