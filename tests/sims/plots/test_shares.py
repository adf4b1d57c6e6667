from dataclasses import replace

import pytest

from highwayman.pages.charts import Shares
from highwayman.pages.multiples import Multiples
from highwayman.sims.plots.look import Look
from highwayman.sims.plots.shares import shares
from highwayman.sims.sweeps.results import Results
from tests.sims.plots.cases import LOOK, WHOLE, only
from tests.sims.plots.synthetic import results


def drawn(made: Results) -> tuple[Multiples, list[Shares]]:
    multiples = shares(only(made), Look.of(made))
    assert multiples is not None
    return multiples, [figure.chart for figure in multiples.figures if isinstance(figure.chart, Shares)]


def test_each_policy_has_its_own_chart_and_without_shares_there_is_none() -> None:
    multiples, charts = drawn(WHOLE)
    assert [figure.title for figure in multiples.figures] == ["lin_ts", "softmax"]
    mean = only(WHOLE).curve("lin_ts", "shares")[1].mean(axis=0)
    assert charts[0].at == [0.0, *only(WHOLE).curve("lin_ts")[0]]
    # a bin's shares stand where it begins; where the last one ends, they stand once more
    assert charts[0].parts["small-8b"] == pytest.approx([*mean[:, 0], mean[-1, 0]])
    assert shares(only(replace(WHOLE, curves=())), LOOK) is None


def test_arms_beyond_the_colors_are_folded_into_one() -> None:
    names = [f"arm {number}" for number in range(12)]
    multiples, (chart,) = drawn(results(policies={"p": 0.1}, seeds=1, bins=2, names=names))
    assert list(multiples.legend)[-1] == "4 others"
    assert len(set(multiples.legend.values())) == len(chart.parts) == 9
    assert [sum(part[place] for part in chart.parts.values()) for place in range(3)] == pytest.approx([1.0, 1.0, 1.0])
