import math

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.ratios import ones
from highwayman.sims.ope.intervals.confidence_sequence import BettingCapital, ConfidenceSequence

BETS = np.geomspace(1e-5, 1e2, 22)


def rounds_of(reward: Floats, ratio: Floats) -> RoundValues:
    n = len(reward)
    return RoundValues(ratio * reward, ones(n), ratio, np.arange(n), 0.0, math.inf, martingale=True)


def played(x: Floats, claim: float) -> float:
    """Return the capital of gamblers who bet round by round, as the docstring describes."""
    each = np.ones(len(BETS))
    fraction = BETS / (1 + BETS * claim)
    for value in x:
        each *= 1 + fraction * (value - claim)
    return float(each.mean())


def test_the_claim_refuted_is_where_a_gamblers_capital_has_grown_that_much() -> None:
    x = np.random.default_rng(0).random(200) * 1.5
    capital = BettingCapital()
    capital.add(x)
    claim = capital.refuted(math.log(40.0))
    assert 0.5 < claim < x.mean()
    assert played(x, claim) >= 40.0 * (1 - 1e-6)
    assert played(x, claim + 1e-5) < 40.0


def test_a_fair_gamblers_capital_is_expected_to_stay_what_it_was() -> None:
    x, p = np.array([0.0, 3.0]), np.array([0.8, 0.2])  # mean 0.6
    expected = sum(p[i] * p[j] * p[k] * played(x[[i, j, k]], 0.6) for i in (0, 1) for j in (0, 1) for k in (0, 1))
    assert expected == pytest.approx(1.0)


def test_the_order_of_rounds_does_not_matter_to_the_interval_after_them() -> None:
    rng = np.random.default_rng(1)
    reward, ratio = rng.random(1000), rng.exponential(size=1000)
    forth, back = ConfidenceSequence(), ConfidenceSequence()
    forth.add(rounds_of(reward, ratio))
    back.add(rounds_of(reward[::-1], ratio[::-1]))
    assert back.interval() == pytest.approx(forth.interval(), abs=1e-7)


def test_rounds_that_are_no_martingale_say_nothing_even_once() -> None:
    sequence = ConfidenceSequence()
    sequence.add(rounds_of(np.ones(100), np.ones(100)))
    assert sequence.interval()[0] > 0.8
    sequence.add(RoundValues(np.ones(1), np.ones(1), np.ones(1), np.arange(1), 0.0, 1.0))
    assert all(math.isnan(end) for end in sequence.interval())


def test_rewards_outside_0_and_1_are_refused() -> None:
    for reward in (-0.5, 1.5):
        with pytest.raises(ValueError, match=r"rewards in \[0, 1\]"):
            ConfidenceSequence().add(rounds_of(np.full(3, reward), np.ones(3)))


def test_ratios_that_cannot_be_leave_an_empty_interval() -> None:
    sequence = ConfidenceSequence()
    sequence.add(rounds_of(np.full(2000, 0.9), np.full(2000, 2.0)))  # a mean ratio of 2
    low, high = sequence.interval()
    assert low > high


def test_huge_ratios_do_no_harm() -> None:
    sequence = ConfidenceSequence()
    sequence.add(rounds_of(np.ones(64), np.full(64, 1e9)))
    assert sequence.interval()[0] == pytest.approx(1.0)


def test_where_the_value_drifts_it_holds_the_mean_so_far_at_every_look() -> None:
    rng, runs, step, held = np.random.default_rng(2), 150, 100, 0
    drift = np.repeat(np.linspace(0.9, 0.1, 10), step)  # what a round is expected to earn
    so_far = drift.cumsum() / np.arange(1, len(drift) + 1)
    for _ in range(runs):
        ratio = np.where(rng.random(len(drift)) < 0.25, 4.0, 0.0)
        reward = (rng.random(len(drift)) < drift).astype(np.float64)
        sequence, whole = ConfidenceSequence(), True
        for start in range(0, len(drift), step):
            sequence.add(rounds_of(reward[start : start + step], ratio[start : start + step]))
            low, high = sequence.interval()
            whole = whole and low <= so_far[start + step - 1] <= high
        held += whole
    assert held / runs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
