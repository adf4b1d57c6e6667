import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.sims.measures.hull import Hull

COSTS = st.integers(0, 10**6).map(lambda millionths: millionths / 1e6)
QUALITIES = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
POINTS = st.lists(st.tuples(COSTS, QUALITIES), min_size=1, max_size=12).map(lambda pairs: np.array(pairs).T)


def test_corners_are_the_points_no_mixture_of_others_reaches() -> None:
    cost = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    quality = np.array([0.2, 0.3, 0.6, 0.5, 0.7])  # 2 lies below the line from 1 to 3; 4 is dearer and worse than 3
    hull = Hull.of(cost, quality)
    assert hull.points.tolist() == [0, 2, 4]
    assert hull.quality_at(np.array([1.0, 2.0, 4.0, 9.0])).tolist() == pytest.approx([0.2, 0.4, 0.65, 0.7])
    assert hull.cost_at(np.array([0.1, 0.4, 0.65])).tolist() == pytest.approx([1.0, 2.0, 4.0])


def test_nothing_is_reached_below_the_cheapest_point_or_above_the_best() -> None:
    hull = Hull.of(np.array([1.0, 2.0]), np.array([0.2, 0.4]))
    assert np.isnan(hull.quality_at(0.5))
    assert hull.cost_at(0.5) == np.inf
    with pytest.raises(ValueError, match=r"cheapest point costs 1\.0"):
        hull.weights_at(0.5)


def test_a_cost_that_differs_by_rounding_is_the_cheapest_points() -> None:
    hull = Hull.of(np.array([0.1 + 0.2]), np.array([0.5]))
    assert hull.quality_at(0.3) == 0.5
    assert hull.weights_at(0.3).tolist() == [1.0]


def test_the_mixture_at_a_cost_is_of_the_two_corners_beside_it() -> None:
    hull = Hull.of(np.array([4.0, 1.0, 2.0]), np.array([0.8, 0.2, 0.1]))
    assert hull.weights_at(2.0).tolist() == pytest.approx([1 / 3, 2 / 3, 0.0])
    assert hull.weights_at(9.0).tolist() == [1.0, 0.0, 0.0]


def test_of_equally_dear_points_the_better_counts_and_of_equally_good_ones_the_cheaper() -> None:
    hull = Hull.of(np.array([1.0, 1.0, 2.0, 3.0]), np.array([0.2, 0.3, 0.9, 0.9]))
    assert hull.points.tolist() == [1, 2]


def test_the_area_is_that_of_its_trapezes_and_nothing_below_the_cheapest_point() -> None:
    hull = Hull.of(np.array([1.0, 3.0]), np.array([0.2, 0.6]))
    assert hull.area(1.0, 3.0) == pytest.approx(0.8)
    assert hull.area(0.0, 4.0) == pytest.approx(0.8 + 0.6)
    assert hull.area(2.0, 3.0) == pytest.approx(0.5)
    assert hull.area(0.0, 1.0) == hull.area(3.0, 2.0) == 0.0


@pytest.mark.parametrize(
    ("cost", "quality", "message"),
    [
        (np.array([]), np.array([]), "one cost and one quality"),
        (np.array([1.0]), np.array([1.0, 2.0]), "one cost and one quality"),
        (np.array([1.0, np.nan]), np.array([0.1, 0.2]), "cost of point 1"),
        (np.array([1.0, 2.0]), np.array([np.inf, 0.2]), "quality of point 0"),
    ],
)
def test_points_that_cannot_be_are_named(cost: np.ndarray, quality: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hull.of(cost, quality)


@given(POINTS)
def test_the_hull_rises_ever_less_steeply(points: np.ndarray) -> None:
    hull = Hull.of(*points)
    assert (np.diff(hull.cost) > 0).all()
    assert (np.diff(hull.quality) > 0).all()
    slopes = np.diff(hull.quality) / np.diff(hull.cost)
    assert (slopes[1:] < slopes[:-1] * (1 + 1e-9)).all()


@given(POINTS)
def test_the_hull_lies_on_or_above_every_point_and_its_corners_are_points(points: np.ndarray) -> None:
    cost, quality = points
    hull = Hull.of(cost, quality)
    assert (hull.quality_at(cost) >= quality - 1e-9).all()
    assert (hull.cost_at(quality) <= cost + 1e-9).all()
    assert cost[hull.points].tolist() == hull.cost.tolist()
    assert quality[hull.points].tolist() == hull.quality.tolist()
    assert (hull.cost[0], hull.quality[-1]) == (cost.min(), quality.max())


@given(POINTS, st.floats(0, 1.5))
def test_the_mixture_reaches_the_hull_within_its_cost(points: np.ndarray, part: float) -> None:
    cost, quality = points
    hull = Hull.of(cost, quality)
    asked = float(hull.cost[0] + part * (hull.cost[-1] - hull.cost[0]))
    weights = hull.weights_at(asked)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    assert (weights > 0).sum() <= 2
    assert weights @ quality == pytest.approx(float(hull.quality_at(asked)))
    assert weights @ cost <= asked + 1e-9
