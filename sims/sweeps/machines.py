"""Where the runs of a sweep go: to processes of this machine, or to a Ray cluster that is there already."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from highwayman.env.errors import ConfigError
from highwayman.sims.sweeps.prepared import Prepared
from highwayman.sims.sweeps.trial import SweepTrial, TrialResult, run_trial

_SIMS = "'highwayman[sims]'"


@dataclass(frozen=True, slots=True)
class Machines:
    """One of the two: without a cluster's address, this machine."""

    jobs: int = 1  # processes of this machine; -1: one per core
    ray: str | None = None  # the cluster's address, or "auto" for the one that this machine is part of

    def check(self) -> None:
        """Return if runs can go there. Raises ConfigError: what is needed is not installed, or `jobs` cannot be."""
        if self.jobs == 0 or self.jobs < -1:
            raise ConfigError(f"jobs must be a number of processes, or -1 for one per core, got {self.jobs}")
        if self.ray is not None and self.jobs not in (-1, 1):
            raise ConfigError(f"a Ray cluster runs what it has processors for; leave jobs away, got {self.jobs}")
        _needed("threadpoolctl", _SIMS)
        _library(self.ray)

    def run(self, trials: Sequence[SweepTrial], tables: Mapping[str, Prepared]) -> Iterator[TrialResult]:
        """Yield what each trial comes to, in the order of the trials, whichever is done first.

        Raises:
            ConfigError: what is needed is not installed, or no cluster answers.
            WorldError: a world does not fit a table.
        """
        library = _library(self.ray)
        if self.ray is not None:
            return _on_ray(library, self.ray, trials, tables)
        results: Iterator[TrialResult] = library.Parallel(n_jobs=self.jobs, return_as="generator")(
            library.delayed(on_one_thread)(trial, tables[trial.table]) for trial in trials
        )
        return results


def on_one_thread(trial: SweepTrial, prepared: Prepared) -> TrialResult:
    """Return what the trial comes to, its sums taken in one order however many processors there are."""
    with _needed("threadpoolctl", _SIMS).threadpool_limits(limits=1):
        return run_trial(trial, prepared)


def _library(ray: str | None) -> Any:
    return _needed("joblib", _SIMS) if ray is None else _needed("ray", "ray, of the version that the cluster runs")


def _needed(module: str, install: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f"a sweep there needs {module}: pip install {install} ({error})") from None


def _on_ray(
    ray: Any, address: str, trials: Sequence[SweepTrial], tables: Mapping[str, Prepared]
) -> Iterator[TrialResult]:
    # Not by Ray's backend for joblib: that one gives results only when all are there.
    with _connected(ray, address):
        shared = {name: ray.put(table) for name, table in tables.items()}  # each goes to each machine once
        run = ray.remote(on_one_thread)
        waiting = [run.remote(trial, shared[trial.table]) for trial in trials]
        waiting.reverse()
        while waiting:
            try:
                yield ray.get(waiting.pop())
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None  # what the trial raised, as on this machine


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """Be connected to the cluster meanwhile; a connection that whoever calls has made already is left alone."""
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"no Ray cluster at {address!r}; `ray start --head` starts one: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()
