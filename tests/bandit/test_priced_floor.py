"""A floor that is worth its price: 0.02 over eight arms is 0.0025 each, spread evenly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.draw import draw_many, mix
from highwayman.bandit.priced_floor import LEAST_SHARE, priced_floor
from highwayman.env.types import Floats

NO_PENALTIES = np.zeros(8)
KNOWN = np.full(8, 1e-4)  # deviations of arms that have been tried thousands of times
SPREAD = np.linspace(0.8, 0.5, 8)  # qualities: an even floor loses 0.02 times 0.15, 0.003 a request


def floor_of(
    quality: Floats, deviations: Floats = KNOWN, penalties: Floats = NO_PENALTIES, loss: float = 5e-4
) -> Floats:
    return priced_floor(quality, deviations, penalties, floor=0.02, max_loss=loss)


def test_it_loses_what_it_may_where_an_even_floor_loses_six_times_as_much() -> None:
    gaps = SPREAD[0] - SPREAD
    assert 0.02 / 8 * gaps.sum() == pytest.approx(0.003)
    assert floor_of(SPREAD) @ gaps == pytest.approx(0.0005, rel=0.01)
    assert (np.diff(floor_of(SPREAD)) <= 0).all(), "what is further behind gets less"


def test_cost_counts_as_quality_does() -> None:
    dear = floor_of(np.full(8, 0.8), penalties=0.8 - SPREAD)
    assert dear == pytest.approx(floor_of(SPREAD))


def test_arms_that_lose_next_to_nothing_or_that_nobody_knows_have_an_even_floor() -> None:
    assert floor_of(np.linspace(0.80, 0.78, 8)) == pytest.approx(np.full(8, 0.0025))
    unknown = np.where(np.arange(8) == 7, 0.6, 1e-4)
    assert floor_of(SPREAD, unknown)[7] == 0.0025
    assert floor_of(SPREAD)[7] < 0.0005


def test_an_arm_that_costs_beyond_all_bounds_has_a_tenth_and_takes_nothing_from_the_others_but_the_rest() -> None:
    floors = priced_floor(np.full(3, 0.5), np.zeros(3), np.array([0.0, 0.1, np.inf]), floor=0.3, max_loss=0.01)
    assert floors == pytest.approx([0.01] * 3)


def test_every_arm_keeps_a_tenth_whatever_is_lost() -> None:
    assert floor_of(SPREAD, loss=0.0) == pytest.approx(np.full(8, LEAST_SHARE * 0.0025))


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([0.0, 0.02, 1.0]), st.sampled_from([0.0, 5e-4, 9.0])
)
def test_a_block_has_the_floors_and_draws_of_its_rounds(seed: int, k: int, floor: float, loss: float) -> None:
    rng = np.random.default_rng(seed)
    quality, deviations, penalties = rng.random((3, 5, k))
    floors = priced_floor(quality, deviations, penalties, floor=floor, max_loss=loss)
    probs = rng.dirichlet(np.full(k, 0.3), size=5)
    _, mixed = draw_many(probs, floor=floors, uniforms=rng.random(5))
    for row in range(5):
        alone = priced_floor(quality[row], deviations[row], penalties[row], floor=floor, max_loss=loss)
        assert np.array_equal(alone, floors[row])
        assert np.array_equal(mix(probs[row], floor=alone), mixed[row])
        assert (LEAST_SHARE * floor / k - 1e-15 <= alone).all()
        assert (alone <= floor / k).all()
        assert (mixed[row] >= alone - 1e-15).all()
        assert mixed[row].sum() == pytest.approx(1.0)
