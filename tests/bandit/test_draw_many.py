import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit.draw import draw, draw_many


@pytest.mark.parametrize("shape", [(3,), (3, 0), (2, 2, 2)])
def test_a_block_is_of_rounds_and_arms(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"probs must have shape \(m, K\), got"):
        draw_many(np.ones(shape), floor=0.0, uniforms=np.zeros(len(np.ones(shape))))


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 40), st.sampled_from([0.0, 0.02, 1.0]), st.booleans()
)
def test_a_block_draws_what_its_rounds_draw_one_by_one(seed: int, m: int, k: int, floor: float, flat: bool) -> None:
    rng = np.random.default_rng(seed)
    probs = np.full((m, k), 1.0 / k) if flat else rng.dirichlet(np.full(k, 0.3), size=m)
    actions, mixed = draw_many(probs, floor=floor, uniforms=np.random.default_rng(seed).random(m))
    alone = np.random.default_rng(seed)
    drawn = [draw(row, floor=floor, rng=alone) for row in probs]
    assert actions.tolist() == [one.action for one in drawn]
    assert np.array_equal(mixed, [one.probs for one in drawn])


def test_rows_in_another_memory_order_are_drawn_alike() -> None:
    probs, uniforms = np.random.default_rng(0).dirichlet(np.ones(30), size=50), np.random.default_rng(1).random(50)
    straight, across = (draw_many(order, floor=0.1, uniforms=uniforms) for order in (probs, np.asfortranarray(probs)))
    assert np.array_equal(straight[0], across[0])
    assert np.array_equal(straight[1], across[1])


def test_a_row_that_is_no_distribution_is_named() -> None:
    probs = np.array([[0.5, 0.5], [0.5, 0.6], [1.5, -0.5]])
    with pytest.raises(ValueError, match=r"row 1 of probs must be probabilities, its sum is 1.1"):
        draw_many(probs, floor=0.0, uniforms=np.zeros(3))
    with pytest.raises(ValueError, match=r"probs must have shape \(2, K\), got \(3, 2\)"):
        draw_many(probs, floor=0.0, uniforms=np.zeros(2))
    with pytest.raises(ValueError, match=r"floor must be in \[0, 1\], got 1.5"):
        draw_many(probs, floor=1.5, uniforms=np.zeros(3))
