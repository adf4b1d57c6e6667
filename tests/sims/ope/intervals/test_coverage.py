"""Smaller runs of benchmarks/coverage.py: what the intervals promise, on logs where they promise it."""

import math
from functools import partial

import numpy as np
import pytest

from benchmarks.coverage import ESTIMATORS, INTERVALS, held, logs, make_world, small_log
from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.evaluation import compare, evaluate

WORLD = make_world(np.random.default_rng(0))
RUNS = 200
SLACK = 3 * math.sqrt(0.95 * 0.05 / RUNS)  # three standard errors of a share of 95%


def share(estimator: str, interval: str, log: str, *, rounds: int = 1000, looks: int = 10) -> float:
    """Return how often the interval held the true value."""
    found = []
    for data, target in logs(WORLD, log, runs=RUNS, rounds=rounds, rng=np.random.default_rng(1)):
        method = ESTIMATORS[estimator]()
        method.fit(data)
        found.append(held(INTERVALS[interval], method.rounds(data, target), WORLD.value, looks)[0])
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("estimator", "interval"),
    [("IPS", "ClusteredBootstrap"), ("SNIPS", "Normal"), ("SNIPS", "ClusteredBootstrap"), ("DoublyRobust", "Normal")],
)
def test_intervals_that_count_sessions_hold_95_of_100_times(estimator: str, interval: str) -> None:
    assert abs(share(estimator, interval, "sessions") - 0.95) <= SLACK


def test_empirical_bernstein_holds_at_least_95_of_100_times() -> None:
    assert share("IPS", "EmpiricalBernstein", "iid") >= 0.95 - SLACK


@pytest.mark.parametrize(("estimator", "log"), [("IPS", "iid"), ("IPS", "adaptive"), ("ClippedIPS cap 10", "adaptive")])
def test_a_confidence_sequence_holds_at_all_looks_at_once_95_of_100_times(estimator: str, log: str) -> None:
    assert share(estimator, "ConfidenceSequence", log) >= 0.95 - SLACK


def test_looking_at_a_normal_interval_again_and_again_breaks_its_promise() -> None:
    found = []
    for data, target in logs(WORLD, "iid", runs=RUNS, rounds=1000, rng=np.random.default_rng(1)):
        rounds = ESTIMATORS["IPS"]().rounds(data, target)
        steps = [slice(0, end) for end in range(50, 1001, 50)]
        cuts = [(rounds.numerator[cut], cut.stop) for cut in steps]
        reach = [1.96 * x.std(ddof=1) / math.sqrt(n) for x, n in cuts]
        found.append(all(abs(x.mean() - WORLD.value) <= far for (x, _), far in zip(cuts, reach, strict=True)))
    assert np.mean(found) < 0.85


@pytest.mark.parametrize(("interval", "quality"), [("Normal", 0.99), ("ClusteredBootstrap", 0.99)])
def test_what_is_reported_of_a_good_arm_on_sixty_effective_rounds_holds_95_of_100_times(
    interval: str, quality: float
) -> None:
    rng, runs = np.random.default_rng(5), 40
    found = {evaluate: quality, compare: (quality - 0.5) / 2}
    for ask, truth in found.items():
        ends = []
        for _ in range(runs):
            log = small_log(120, quality, rng)
            ends.append(ask(partial(list, [log]), only_the_first, interval=INTERVALS[interval]()))
        assert np.mean([one.low <= truth <= one.high for one in ends]) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
        assert min(one.high - one.low for one in ends) > 0.03


def only_the_first(log: LoggedData) -> Floats:
    return np.tile([1.0, 0.0], (log.n, 1))
