from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from highwayman.sims.logs.judged import LogWithTargets
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimators.ips import IPS
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.replay.comparison import (
    EDGES,
    EstimationMethod,
    PolicyEstimate,
    PolicyVerdict,
    best_fixed_arm,
    compare_policies,
    logged_policy_value,
)


def log_of(actions: list[int], rewards: list[float], *, propensity: float = 0.5) -> LoggedData:
    n = len(actions)
    taken = np.array(actions, dtype=np.intp)
    return LoggedData(
        arms=("a", "b"), contexts=np.ones((n, 1)), eligible=np.ones((n, 2), dtype=np.bool_), actions=taken,
        propensities=np.full(n, propensity), rewards=np.array(rewards), costs_usd=np.where(taken == 0, 0.001, 0.01),
        penalties=np.tile([0.0, 0.1], (n, 1)), sessions=np.arange(n), at=np.arange(n, dtype=np.float64),
    )  # fmt: skip


def random_log(n: int, *, good: tuple[float, float], seed: int = 0) -> LoggedData:
    """Drawn evenly; arm k's answers are good with probability good[k]."""
    rng = np.random.default_rng(seed)
    actions = rng.integers(0, 2, n)
    rewards = (rng.random(n) < np.array(good)[actions]).astype(np.float64)
    return log_of(actions.tolist(), rewards.tolist())


def asked(
    log: LoggedData, *wishes: tuple[float, float], method: EstimationMethod | None = None
) -> list[PolicyEstimate]:
    targets = [np.tile(wish, (log.n, 1)) for wish in wishes]

    def chunks() -> Iterator[LogWithTargets]:
        half = log.n // 2
        whole = LogWithTargets.from_log(log, targets)
        yield whole.take(slice(0, half))
        yield whole.take(slice(half, log.n))

    how = method or EstimationMethod()
    names = [f"policy {number}" for number in range(len(wishes))]
    return compare_policies(chunks, names, how, known=logged_policy_value(chunks, how.interval))


def test_a_policy_that_takes_the_better_arm_earns_more_and_the_other_less() -> None:
    more, less = asked(random_log(4000, good=(0.8, 0.3)), (1.0, 0.0), (0.0, 1.0))
    assert (more.verdict, less.verdict) == (PolicyVerdict.MORE, PolicyVerdict.LESS)
    assert more.values["quality"].low < 0.8 < more.values["quality"].high
    assert more.gain.low < 0.8 - (0.8 + 0.2) / 2 < more.gain.high  # utilities .8 and .2, drawn evenly
    assert more.values["cost_usd"].value == pytest.approx(0.001)


def test_what_decides_is_utility_unless_quality_is_asked_for() -> None:
    log = random_log(20_000, good=(0.5, 0.55))
    (by_utility,) = asked(log, (0.0, 1.0))
    (by_quality,) = asked(log, (0.0, 1.0), method=EstimationMethod(reward="quality"))
    assert (by_utility.verdict, by_quality.verdict) == (PolicyVerdict.LESS, PolicyVerdict.MORE)


def test_the_policy_that_ran_differs_in_nothing_from_itself() -> None:
    (same,) = asked(random_log(2000, good=(0.8, 0.3)), (0.5, 0.5))
    assert same.verdict is PolicyVerdict.UNCLEAR
    assert same.gain.value == pytest.approx(0.0, abs=1e-12)


def test_where_the_log_hardly_did_what_is_asked_about_it_cannot_tell() -> None:
    log = replace(log_of([0] * 990 + [1] * 10, [1.0] * 1000), propensities=np.array([0.99] * 990 + [0.01] * 10))
    (answer,) = asked(log, (0.0, 1.0))
    assert answer.verdict is PolicyVerdict.REFUSED
    assert any("effective sample size" in why for why in answer.gain.refused)


def test_as_it_ran_is_the_log_s_own_means_and_shares() -> None:
    log = log_of([0, 0, 1, 1], [1.0, 0.0, np.nan, 1.0])
    known = logged_policy_value(lambda: [LogWithTargets.from_log(log, [])], Normal())
    assert (known.rounds, known.first_at, known.last_at) == (4, 0.0, 3.0)
    assert known.shares == {"a": 0.5, "b": 0.5}
    assert known.means["quality"].value == pytest.approx(2 / 3)
    assert known.means["quality"].n == 3
    assert known.means["utility"].value == pytest.approx((1.0 + 0.0 + 0.9) / 3)
    assert known.means["cost_usd"].value == pytest.approx((0.001 + 0.001 + 0.01 + 0.01) / 4)


def test_what_no_round_knows_is_not_answered() -> None:
    log = replace(random_log(500, good=(0.8, 0.3)), costs_usd=np.full(500, np.nan))
    (answer,) = asked(log, (1.0, 0.0))
    assert set(answer.values) == {"quality", "utility"}


def test_shares_are_mean_probabilities_and_ratios_are_counted_round_by_round() -> None:
    log = log_of([0, 0, 1], [1.0, 0.0, 1.0])
    (answer,) = asked(log, (0.9, 0.1), method=EstimationMethod(IPS()))
    assert answer.shares == pytest.approx({"a": 0.9, "b": 0.1})
    counts = np.histogram([1.8, 1.8, 0.2], EDGES)[0]
    assert answer.ratios == tuple(counts)


def test_a_ratio_of_nothing_counts_at_the_lowest_edge() -> None:
    (answer,) = asked(log_of([0, 0, 1], [1.0, 0.0, 1.0]), (1.0, 0.0))
    assert answer.ratios[0] == 1
    assert sum(answer.ratios) == 3


def best_of(log: LoggedData, arms: tuple[str, ...] = ("a", "b")) -> PolicyEstimate | None:
    chunks = lambda: [LogWithTargets.from_log(log, [])]  # noqa: E731
    how = EstimationMethod()
    return best_fixed_arm(chunks, arms, how, known=logged_policy_value(chunks, how.interval))


def test_the_best_fixed_arm_is_the_one_that_would_have_earned_most() -> None:
    log = random_log(3000, good=(0.4, 0.9))
    best = best_of(log)
    assert best is not None
    assert best.policy == "best fixed: b"
    (same,) = asked(log, (0.0, 1.0))
    assert (best.values, best.gain, best.shares) == (same.values, same.gain, same.shares)
    only = best_of(log, ("a",))
    assert only is not None
    assert only.policy == "best fixed: a"


def test_where_the_best_fixed_arm_could_not_answer_the_others_do() -> None:
    log = random_log(3000, good=(0.4, 0.9))
    able = np.ones((log.n, 2), dtype=np.bool_)
    able[:1000, 1] = False  # b was out at first, and a had all of the traffic
    actions, propensities = np.where(able[:, 1], log.actions, 0), np.where(able[:, 1], 0.5, 1.0)
    best = best_of(replace(log, eligible=able, actions=actions, propensities=propensities), ("b",))
    assert best is not None
    assert best.shares == pytest.approx({"a": 1 / 3, "b": 2 / 3})


def test_of_a_log_that_can_tell_of_no_arm_there_is_no_best_one() -> None:
    assert best_of(random_log(30, good=(0.4, 0.9))) is None
