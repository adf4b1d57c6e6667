import json
from dataclasses import replace

import pytest

from highwayman.pages.charts import Figure, Point, Scatter
from highwayman.sims.plots.frontier import frontier
from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import BaselineResult, Results
from tests.sims.plots.cases import WHOLE, only
from tests.sims.plots.synthetic import results


def drawn(made: Results) -> tuple[Figure, Scatter]:
    figure = frontier(only(made), Look.of(made))
    assert figure is not None
    assert isinstance(figure.chart, Scatter)
    return figure, figure.chart


def arms(made: Results, **new: object) -> Results:
    return replace(made, arms={name: replace(one, **new) for name, one in made.arms.items()})


def labelled(chart: Scatter) -> list[Point]:
    return [point for point in chart.points if point.labelled and not point.faint]


def test_a_sweep_at_one_cost_weight_has_a_point_of_its_runs() -> None:
    case, (_, chart) = only(WHOLE), drawn(replace(WHOLE, frontier=()))
    quality, cost = (case.values("softmax", column).mean() for column in ("quality", "cost_usd"))
    assert f"softmax {quality:.3f} at ${1000 * cost:.3f}" in chart.alt
    (point,) = (point for point in chart.points if point.name == "softmax" and not point.faint)
    assert (point.x, point.y) == pytest.approx((1000 * cost, quality))


def test_a_free_arm_is_drawn() -> None:
    free = {"cost_usd": (0.0, *next(iter(WHOLE.arms.values())).cost_usd[1:]), "hull": ()}
    figure, chart = drawn(arms(WHOLE, **free))
    assert "small-8b 0.520 at $0" in chart.alt
    assert "NaN" not in json.dumps(figure.data())
    assert chart.x.scale == "linear"


def test_an_oracle_that_did_not_run_is_taken_from_the_table() -> None:
    without = replace(WHOLE, runs=tuple(run for run in WHOLE.runs if run.policy != "oracle"))
    _, chart = drawn(arms(without, baselines={"oracle": BaselineResult(0.8, 0.9, 0.001)}))
    assert [(point.x, point.y) for point in chart.points if point.name == "oracle"] == [(1.0, 0.9)]


def test_few_policies_are_named_beside_their_points_and_many_in_the_legend_alone() -> None:
    for count in (4, 5):
        policies = {f"p{number}": 0.05 - 0.01 * number for number in range(count)}
        figure, chart = drawn(results(policies=policies, seeds=2, bins=2))
        beside = [point.name for point in labelled(chart) if point.name in policies]
        assert beside == (list(policies) if count == 4 else [])
        assert set(policies) <= set(figure.legend)


def test_of_many_arms_those_on_the_hull_have_names() -> None:
    names = [f"arm {number}" for number in range(30)]
    figure, chart = drawn(results(policies={"p": 0.1}, seeds=1, bins=2, names=names))
    shown = {point.name for point in labelled(chart)} & set(names)
    assert set(names[:5]) <= shown
    assert len(shown) == 12
    assert "those on the line and those taken most have names" in figure.caption


def test_the_hull_bends_where_the_scale_is_logarithmic() -> None:
    """Half of each of two arms costs their mean, which on a logarithmic scale is not halfway."""
    _, chart = drawn(arms(WHOLE, hull=((0.00004, 0.52), (0.0042, 0.74))))
    assert chart.x.scale == "log"
    hull = chart.lines[0]
    middle = len(hull.x) // 2
    assert hull.dashed
    assert (hull.x[middle], hull.y[middle]) == pytest.approx((2.12, 0.63))


def test_a_world_that_may_change_the_arms_is_said_not_to_be_in_them() -> None:
    made = results(worlds={"calm": 1.0, "drift": 1.0}, policies={"p": 0.1}, seeds=2, bins=2)
    captions = [figure.caption for case in made.cases() if (figure := frontier(case, Look.of(made))) is not None]
    assert ["what the world changes is not in them" in caption for caption in captions] == [False, True]


def test_arms_are_squares_in_the_colors_they_have_everywhere() -> None:
    _, chart = drawn(WHOLE)
    squares = {point.name: point.color for point in chart.points if point.shape == "square"}
    assert squares == Look.of(WHOLE).arms["mixed_bench"]
