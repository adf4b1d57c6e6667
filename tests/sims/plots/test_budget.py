from dataclasses import replace

import pytest

from highwayman.pages.charts import Lines
from highwayman.sims.plots.budget import budget
from tests.sims.plots.cases import LOOK, WHOLE, only


def test_the_worst_window_of_a_budget_is_in_its_sentence() -> None:
    figure = budget(only(WHOLE), LOOK)
    assert figure is not None
    worst = only(WHOLE).values("lin_ts", "budget_ratio").max()
    assert f"worst window of any seed {worst:.2f} times" in figure.chart.alt


def test_costs_are_drawn_as_multiples_of_the_ceiling_which_is_a_line() -> None:
    figure = budget(only(WHOLE), LOOK)
    assert figure is not None
    assert isinstance(figure.chart, Lines)
    ceiling, *lines = figure.chart.series
    assert list(ceiling.y) == [1.0, 1.0]
    mean = only(WHOLE).curve("lin_ts", "cost_usd")[1].mean(axis=0)
    (line,) = (line for line in lines if line.name == "lin_ts")
    assert line.y[-1] == pytest.approx(mean[-1] / 0.001)


def test_without_a_budget_or_without_curves_there_is_nothing_to_track() -> None:
    unset = replace(WHOLE, runs=tuple(replace(run, budget_usd=float("nan")) for run in WHOLE.runs))
    assert budget(only(unset), LOOK) is None
    assert budget(only(replace(WHOLE, curves=())), LOOK) is None
