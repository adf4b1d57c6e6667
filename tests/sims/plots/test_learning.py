import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from highwayman.pages.charts import Figure, Lines, Series
from highwayman.sims.plots.learning import learning
from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import Results
from tests.sims.plots.cases import LOOK, WHOLE, only
from tests.sims.plots.synthetic import results


def drawn(made: Results) -> tuple[Figure, Lines]:
    """The figure of the values, and its lines."""
    figure = learning(only(made), Look.of(made))[0]
    assert isinstance(figure.chart, Lines)
    return figure, figure.chart


def named(lines: Sequence[Series], name: str) -> Series:
    (line,) = (line for line in lines if line.name == name)
    return line


def span(chart: Lines) -> float:
    assert chart.y.low is not None
    assert chart.y.high is not None
    return chart.y.high - chart.y.low


def test_without_curves_there_is_no_chart() -> None:
    assert len(learning(only(WHOLE), LOOK)) == 2
    assert learning(only(replace(WHOLE, curves=())), LOOK) == []


def test_the_numbers_of_a_learning_curve_are_in_its_sentence_and_in_its_line() -> None:
    case, (_, chart) = only(WHOLE), drawn(WHOLE)
    mean = case.curve("lin_ts")[1].mean(axis=0)
    assert f"lin_ts from {mean[0]:.3f} to {mean[-1]:.3f}" in chart.alt  # bins longer than a tenth: none is averaged
    assert f"best fixed {case.values('best fixed').mean():.3f}" in chart.alt
    assert list(named(chart.series, "lin_ts").y) == pytest.approx(mean)


def test_an_oracle_far_above_does_not_squeeze_the_curves() -> None:
    far = tuple(replace(run, value=5.0) if run.policy == "oracle" else run for run in WHOLE.runs)
    figure, chart = drawn(replace(WHOLE, runs=far))
    assert re.search(r"Off the chart: .*oracle 5\.000 ↑", figure.caption)
    assert span(chart) <= span(drawn(WHOLE)[1])


def test_a_policy_far_behind_does_not_squeeze_the_others() -> None:
    made = results(policies={"p": 0.05, "q": 0.04, "r": 0.03, "far": -3.0}, seeds=3, bins=4)
    figure, chart = drawn(made)
    assert re.search(r"Off the chart: .*far −\d\.\d{3} ↓", figure.caption)
    assert span(chart) < 1.0


def test_bands_of_the_best_five_are_drawn_whole_and_the_caption_says_so() -> None:
    made = results(policies={f"p{number}": 0.05 - 0.01 * number for number in range(7)}, seeds=3, bins=4)
    values, regrets = learning(only(made), Look.of(made))
    assert "bands the 95% intervals of the 5 best" in values.caption
    for figure in (values, regrets):
        assert isinstance(figure.chart, Lines)
        banded = [line for line in figure.chart.series if len(line.low)]
        told = re.findall(
            r"p\d", "".join(re.findall(r"Too wide to be drawn: the intervals of ([^.]*)", figure.caption))
        )
        assert {line.name for line in banded} | set(told) == {f"p{number}" for number in range(5)}
        low, high = figure.chart.y.low, figure.chart.y.high
        assert low is not None
        assert high is not None
        assert all(low <= min(line.low) and max(line.high) <= high for line in banded)


def test_the_best_fixed_arm_is_drawn_as_it_went_where_that_is_known() -> None:
    curve = [replace(one, policy="best fixed") for one in only(WHOLE).bins if one.policy == "softmax"]
    known, unknown = drawn(replace(WHOLE, curves=(*WHOLE.curves, *curve))), drawn(WHOLE)
    assert "but best fixed as it went" in known[0].caption
    assert "as it went" not in unknown[0].caption
    assert len(named(known[1].series, "best fixed").x) == 3
    assert len(set(named(unknown[1].series, "best fixed").y)) == 1


def test_every_line_has_its_name_at_its_end_or_in_the_legend_but_for_baselines_in_grey() -> None:
    figure, chart = drawn(WHOLE)
    assert chart.named
    assert list(figure.legend) == ["best fixed", "lin_ts", "softmax"]
