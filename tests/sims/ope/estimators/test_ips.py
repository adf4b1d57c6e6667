import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LogError, LoggedData
from highwayman.sims.ope.estimate import Estimator, RoundValues
from highwayman.sims.ope.estimators.clipped_ips import ClippedIPS
from highwayman.sims.ope.estimators.ips import IPS
from highwayman.sims.ope.estimators.snips import SNIPS
from tests.sims.ope.estimators.logs import every_log, log_of, random_log

REWARD = np.array([[0.9, 0.1], [0.3, 0.6], [0.5, 1.0]])
TARGET = np.array([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]])
TRUTH = float((REWARD * TARGET).sum(axis=1).mean())


def value(rounds: RoundValues) -> float:
    return float(rounds.numerator.sum() / rounds.denominator.sum())


def fixed(_: list[int]) -> Floats:
    return np.array([0.7, 0.3])


def adaptive(past: list[int]) -> Floats:
    """The more often arm 1 was taken, the less it is."""
    p = 0.6 / (1 + sum(past))
    return np.array([1 - p, p])


def expected(estimator: Estimator, logging=fixed) -> float:  # type: ignore[no-untyped-def]
    return sum(p * value(estimator.rounds(log, TARGET)) for p, log in every_log(3, logging, REWARD))


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (2,)])
def test_a_target_that_is_not_one_row_for_each_round_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"target has shape \(.*\); 2 rounds of 2 arms need one row each"):
        IPS().rounds(log_of([0, 1], [0.5, 0.5], [1.0, 0.0]), np.full(shape, 0.5))


@pytest.mark.parametrize(("propensity", "message"), [(0.0, r"row 1: propensity must be in \(0, 1\], got 0.0"),
                                                      (1e-300, "row 1: propensity 1e-300")])  # fmt: skip
def test_a_propensity_that_cannot_be_divided_by_is_named_by_its_row(propensity: float, message: str) -> None:
    with pytest.raises(LogError, match=message):
        IPS().rounds(log_of([0, 1, 0], [0.5, propensity, 0.5], [1.0, 0.0, 1.0]), np.full((3, 2), 0.5))


def test_a_round_counts_by_how_much_likelier_the_target_makes_it() -> None:
    log = log_of([0, 1], [0.3, 0.1], [1.0, 0.5])
    target = np.array([[0.9, 0.1], [0.9, 0.1]])  # ratios 3 and 1
    assert IPS().rounds(log, target).numerator == pytest.approx([3.0, 0.5])
    assert value(IPS().rounds(log, target)) == pytest.approx(3.5 / 2)
    assert value(ClippedIPS(cap=2.0).rounds(log, target)) == pytest.approx(2.5 / 2)
    assert value(SNIPS().rounds(log, target)) == pytest.approx(3.5 / 4)


def test_ips_expects_the_truth_over_every_log_there_could_be() -> None:
    assert expected(IPS()) == pytest.approx(TRUTH, abs=1e-12)


def test_ips_expects_the_truth_even_if_the_logging_policy_learned_from_the_log() -> None:
    assert expected(IPS(), adaptive) == pytest.approx(TRUTH, abs=1e-12)


def test_a_cap_expects_less_than_the_truth_and_none_that_bites_exactly_the_truth() -> None:
    lost = (0.8 - 0.3 * 1.5) * 0.1 / 3  # only arm 1 of the first round has a ratio above 1.5
    assert expected(ClippedIPS(cap=1.5)) == pytest.approx(TRUTH - lost, abs=1e-12)
    assert expected(ClippedIPS(cap=10.0)) == pytest.approx(TRUTH, abs=1e-12)


def test_self_normalising_is_biased_on_three_rounds_but_right_where_all_rewards_are_alike() -> None:
    assert abs(expected(SNIPS()) - TRUTH) > 0.01
    log = log_of([0, 1, 1], [0.7, 0.3, 0.3], [0.25] * 3)
    assert value(SNIPS().rounds(log, TARGET)) == pytest.approx(0.25)


@given(seed=st.integers(0, 10_000), shift=st.floats(-1.0, 1.0))
def test_snips_moves_with_the_rewards_and_stays_within_them(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    log = random_log(rng, n=30)
    target = rng.dirichlet(np.ones(3), 30)
    found = value(SNIPS().rounds(log, target))
    moved = log_of(log.actions.tolist(), log.propensities.tolist(), (log.rewards + shift).tolist(), k=3)
    assert value(SNIPS().rounds(moved, target)) == pytest.approx(found + shift, abs=1e-9)
    assert log.rewards.min() <= found <= log.rewards.max()


@given(seed=st.integers(0, 10_000), cap=st.floats(0.5, 20.0))
def test_round_values_lie_within_the_bounds_that_they_state(seed: int, cap: float) -> None:
    rng = np.random.default_rng(seed)
    log, target = random_log(rng, n=50), rng.dirichlet(np.ones(3), 50)
    for estimator in (IPS(max_ratio=10.0), ClippedIPS(cap=cap)):
        rounds = estimator.rounds(log, target)
        assert rounds.low <= rounds.numerator.min()
        assert rounds.numerator.max() <= rounds.high


def test_on_its_own_log_a_policy_is_worth_its_mean_reward() -> None:
    log = log_of([0, 1, 0, 1], [0.5] * 4, [1.0, 0.0, 1.0, 1.0])
    for estimator in (IPS(), ClippedIPS(cap=1.0), SNIPS()):
        assert value(estimator.rounds(log, np.full((4, 2), 0.5))) == pytest.approx(0.75)


def test_a_uniform_log_tells_what_a_policy_that_knows_would_earn() -> None:
    rng = np.random.default_rng(1)
    kind, actions = rng.integers(0, 2, 5000), rng.integers(0, 2, 5000)
    rewards = np.array([[0.9, 0.2], [0.1, 0.8]])[kind, actions]
    knows = np.eye(2)[kind]
    log = log_of(actions.tolist(), [0.5] * 5000, rewards.tolist())
    assert value(SNIPS().rounds(log, knows)) == pytest.approx(0.85, abs=0.01)


def test_a_ratio_above_what_was_promised_is_named_with_its_row() -> None:
    log = log_of([0, 1], [0.9, 0.01], [1.0, 1.0])
    with pytest.raises(LogError, match=r"row 1: importance ratio 50\.0 is above max_ratio 40"):
        IPS(max_ratio=40.0).rounds(log, np.full((2, 2), 0.5))


@pytest.mark.parametrize("bad", [0.0, -0.1, np.nan])
def test_a_propensity_that_cannot_be_is_named_with_its_row(bad: float) -> None:
    with pytest.raises(LogError, match="row 1: propensity"):
        SNIPS().rounds(log_of([0, 0], [0.5, bad], [1.0, 1.0]), np.full((2, 2), 0.5))


def test_a_target_of_another_shape_is_refused() -> None:
    log: LoggedData = log_of([0, 0], [0.5, 0.5], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"target has shape \(2, 3\); 2 rounds of 2 arms"):
        IPS().rounds(log, np.full((2, 3), 1 / 3))


def test_options_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="cap must be > 0, got 0"):
        ClippedIPS(cap=0.0)
    with pytest.raises(ValueError, match="max_ratio must be > 0, got nan"):
        IPS(max_ratio=float("nan"))
