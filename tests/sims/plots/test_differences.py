from dataclasses import replace

from highwayman.pages.charts import Intervals
from highwayman.sims.plots.differences import differences, how_to_read
from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import Results
from tests.sims.plots.cases import LOOK, WHOLE
from tests.sims.plots.synthetic import results


def leads(made: Results) -> list[Intervals]:
    charts = [figure.chart for figure in differences(made.cases(), Look.of(made)) if figure is not None]
    assert all(isinstance(chart, Intervals) for chart in charts)
    return [chart for chart in charts if isinstance(chart, Intervals)]


def test_an_unclear_difference_has_a_hollow_dot() -> None:
    (clear,) = leads(results(policies={"p": 0.3}, seeds=3, bins=2, full=False))
    (unclear,) = leads(results(policies={"p": 0.3}, seeds=1, bins=2, full=False))
    assert [row.hollow for row in clear.rows] == [False]
    assert [row.hollow for row in unclear.rows] == [True]
    assert "95%" not in how_to_read(1)


def test_without_the_best_fixed_arm_there_is_no_chart_of_differences() -> None:
    without = replace(WHOLE, runs=tuple(run for run in WHOLE.runs if run.policy != "best fixed"))
    assert differences(without.cases(), LOOK) == [None]


def test_all_differences_are_to_one_scale_beside_the_best_fixed_arm_by_name() -> None:
    made = results(worlds={"calm": 1.0, "drift": 0.1}, policies={"p": 0.3, "q": 0.1}, seeds=3, bins=2, full=False)
    one, other = leads(made)
    assert one.x == other.x
    assert one.reference == 0.0
    assert one.reference_label.startswith("best fixed: ")


def test_a_policy_far_behind_is_off_the_scale_of_the_others_and_keeps_its_value() -> None:
    (far,) = leads(results(policies={"p": 0.05, "q": 0.04, "r": 0.03, "far": -3.0}, seeds=3, bins=2, full=False))
    assert far.x.low is not None
    assert far.x.low > -0.2
    assert [row.value < -2.0 for row in far.rows] == [False, False, False, True]
    assert far.rows[-1].name == "far"
