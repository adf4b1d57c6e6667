from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest

from highwayman.sims.logs.logged import LogError, LoggedData
from highwayman.sims.ope.estimators.rewards import RewardKind, RewardReading, limits_of
from tests.sims.ope.estimators.logs import log_of

PRICED = replace(
    log_of([0, 1, 0, 1], [0.5] * 4, [1.0, 0.5, np.nan, 0.0]),
    costs_usd=np.array([0.5, np.nan, 0.25, 2.0]),
    penalties=np.array([[0.0, 0.1], [0.0, 0.3], [0.0, 0.2], [0.0, 0.2]]),
)


def halves(log: LoggedData) -> Callable[[], Iterable[LoggedData]]:
    middle = log.n // 2
    return lambda: [log.take(slice(0, middle)), log.take(slice(middle, log.n))]


def read(log: LoggedData, reward: RewardKind, limits: tuple[float, float] | None = None) -> list[list[float]]:
    blocks = RewardReading.of(halves(log), reward, limits).blocks()
    return [block.log.rewards.tolist() for block in blocks]


def test_quality_lies_in_0_and_1_utility_down_to_the_largest_penalty_and_cost_up_to_the_dearest_call() -> None:
    assert limits_of(halves(PRICED), "quality") == (0.0, 1.0)
    assert limits_of(halves(PRICED), "utility") == (-0.3, 1.0)
    assert limits_of(halves(PRICED), "cost_usd") == (0.0, 2.0)
    free = replace(PRICED, costs_usd=np.zeros(4))
    assert limits_of(halves(free), "cost_usd") == (0.0, 1.0)
    assert limits_of(lambda: [], "utility") == (0.0, 1.0)


def test_rewards_are_scaled_to_their_limits_and_rounds_without_one_are_left_out() -> None:
    assert read(PRICED, "quality") == [[1.0, 0.5], [0.0]]
    assert read(PRICED, "cost_usd") == [[0.25], [0.125, 1.0]]
    assert read(PRICED, "cost_usd", (0.0, 4.0)) == [[0.125], [0.0625, 0.5]]
    (first, second), (third,) = read(PRICED, "utility")
    assert (first, second, third) == pytest.approx(((1.0 + 0.3) / 1.3, (0.2 + 0.3) / 1.3, (-0.2 + 0.3) / 1.3))
    assert read(PRICED, "quality", (0.0, 2.0)) == [[0.5, 0.25], [0.0]]


def test_blocks_know_their_rows_on_the_whole_log_and_how_many_they_left_out() -> None:
    n = 80_000
    rewards = np.where(np.arange(n) % 8 == 0, np.nan, 0.5)
    log = log_of([0] * n, [0.5] * n, rewards.tolist())
    blocks = list(RewardReading.of(halves(log), "quality", None).blocks())
    assert len(blocks) > 2, "a chunk of the log is cut where it is long"
    assert np.array_equal(np.concatenate([block.rows for block in blocks]), np.flatnonzero(~np.isnan(rewards)))
    assert sum(block.censored for block in blocks) == n // 8
    assert all(block.log.n == len(block.rows) for block in blocks)


@pytest.mark.parametrize(("reward", "weights"), [("quality", [1.0, 2.0, 4.0, 1.0]), ("cost_usd", [1.0, 1.0, 4.0, 2.0])])
def test_the_first_round_counts_one_and_others_by_what_they_weigh_a_cost_only_by_what_was_kept(
    reward: RewardKind, weights: list[float]
) -> None:
    log = replace(
        log_of([0] * 4, [0.5] * 4, [0.5] * 4),
        costs_usd=np.ones(4),
        weights=np.array([0.5, 1.0, 0.5, 0.25]),
        kept=np.array([0.8, 0.8, 0.2, 0.4]),
    )
    blocks = list(RewardReading.of(halves(log), reward, None).blocks())
    assert np.concatenate([block.log.weights for block in blocks]) == pytest.approx(weights)
    assert np.concatenate([block.log.kept for block in blocks]).tolist() == [1.0] * 4


@pytest.mark.parametrize(("limits", "row"), [((0.0, 0.4), 0), ((0.3, 2.0), 2), ((0.5, 1.0), 2)])
def test_a_reward_outside_its_limits_is_named_with_its_row_and_one_at_the_limit_is_none(
    limits: tuple[float, float], row: int
) -> None:
    with pytest.raises(LogError, match=f"row {row}: cost_usd"):
        read(PRICED, "cost_usd", limits)
    assert read(PRICED, "cost_usd", (0.25, 2.0))[1][0] == 0.0


@pytest.mark.parametrize("limits", [(0.0, 0.0), (1.0, 0.0), (0.0, np.inf), (-np.inf, 1.0), (np.nan, 1.0)])
def test_limits_that_leave_no_range_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="limits must be two numbers, the lower one first"):
        RewardReading.of(halves(PRICED), "quality", limits)


def test_a_target_may_be_off_by_a_millionth_and_no_more() -> None:
    (block, _) = RewardReading.of(halves(PRICED), "quality", None).blocks()
    probs = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert block.probs(lambda _: probs + np.array([0.0, 9e-7])) is not None
    with pytest.raises(ValueError, match="row 0: target probabilities"):
        block.probs(lambda _: probs + np.array([0.0, 2e-6]))
    with pytest.raises(ValueError, match="row 1: target probabilities"):
        block.probs(lambda _: np.array([[1.0, 0.0], [1.25, -0.25]]))
