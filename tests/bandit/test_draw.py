from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.draw import draw
from highwayman.env.types import Floats

WEIGHTS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12).filter(lambda weights: sum(weights) > 1e-3)


def distribution(weights: list[float]) -> Floats:
    """Return the weights scaled to sum to one, (K,)."""
    array = np.array(weights)
    probs: Floats = array / array.sum()
    return probs


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(WEIGHTS, st.floats(0.0, 1.0), st.integers(0, 2**32))
def test_every_arm_keeps_its_share_of_the_floor_and_the_propensity_is_the_drawn_arms(
    weights: list[float], floor: float, seed: int
) -> None:
    drawn = draw(distribution(weights), floor=floor, rng=rng(seed))
    assert drawn.probs.sum() == pytest.approx(1.0)
    assert drawn.probs.min() >= floor / len(weights)
    assert drawn.propensity == drawn.probs[drawn.action]
    assert drawn.propensity > 0.0


def test_the_floor_is_mixed_in_not_clipped() -> None:
    drawn = draw(np.array([0.7, 0.3, 0.0]), floor=0.3, rng=rng())
    assert drawn.probs == pytest.approx([0.7 * 0.7 + 0.1, 0.7 * 0.3 + 0.1, 0.1])


def test_a_floor_of_one_is_uniform_and_a_floor_of_zero_changes_nothing() -> None:
    probs = np.array([0.75, 0.25, 0.0, 0.0])
    assert draw(probs, floor=1.0, rng=rng()).probs.tolist() == [0.25] * 4
    assert draw(probs, floor=0.0, rng=rng()).probs.tolist() == probs.tolist()


def test_a_sum_that_is_off_by_rounding_is_put_right() -> None:
    drawn = draw(np.array([0.5, 0.5 + 8e-7]), floor=0.1, rng=rng())
    assert drawn.probs.sum() == pytest.approx(1.0, abs=1e-15)


def test_arms_are_drawn_as_often_as_their_probability_says() -> None:
    generator, n = rng(7), 20_000
    counts = np.zeros(4)
    for _ in range(n):
        drawn = draw(np.array([0.6, 0.3, 0.1, 0.0]), floor=0.08, rng=generator)
        counts[drawn.action] += 1
    expected = n * np.array([0.572, 0.296, 0.112, 0.02])  # 0.92 p + 0.02
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 16.27  # 3 degrees of freedom, p = 0.001


def test_an_arm_of_probability_zero_is_never_drawn_without_a_floor() -> None:
    generator = rng(1)
    actions = {draw(np.array([0.0, 1.0, 0.0]), floor=0.0, rng=generator).action for _ in range(1000)}
    assert actions == {1}


@pytest.mark.parametrize("number", [0.0, 1.0 - 2.0**-53], ids=["least", "greatest"])
@given(weights=WEIGHTS)
def test_the_extreme_random_numbers_draw_an_arm_that_could_be_drawn(number: float, weights: list[float]) -> None:
    extreme = cast(np.random.Generator, SimpleNamespace(random=lambda: number))
    drawn = draw(distribution(weights), floor=0.0, rng=extreme)
    assert drawn.propensity > 0.0


def test_the_same_seed_draws_the_same_arms() -> None:
    probs = np.full(10, 0.1)
    runs = [[draw(probs, floor=0.1, rng=generator).action for _ in range(50)] for generator in (rng(3), rng(3), rng(4))]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_single_arm_is_drawn_with_propensity_one() -> None:
    drawn = draw(np.array([1.0]), floor=0.05, rng=rng())
    assert (drawn.action, drawn.propensity) == (0, 1.0)


def test_the_policys_own_array_is_left_alone() -> None:
    probs = np.array([0.5, 0.5])
    draw(probs, floor=0.5, rng=rng())
    assert probs.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("floor", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_floor_that_is_no_share_is_refused_by_name(floor: float) -> None:
    with pytest.raises(ValueError, match=r"floor must be in \[0, 1\]"):
        draw(np.array([0.5, 0.5]), floor=floor, rng=rng())


@pytest.mark.parametrize(
    "probs",
    [
        [0.5, 0.4],
        [0.5, 0.6],
        [1.5, -0.5],
        [float("nan"), 1.0],
        [float("inf"), 0.0],
        [0.0, 0.0],
        [],
        [[0.5, 0.5]],
    ],
    ids=str,
)
def test_what_is_no_distribution_is_refused(probs: list[float]) -> None:
    with pytest.raises(ValueError, match="probs must be a non-empty vector of probabilities"):
        draw(np.array(probs), floor=0.1, rng=rng())
