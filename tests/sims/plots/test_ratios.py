from dataclasses import replace

from highwayman.pages.charts import Histogram
from highwayman.sims.plots.ratios import ratios
from tests.sims.plots.cases import LOOK, WHOLE, only


def test_the_effective_sample_size_is_named_with_its_rounds() -> None:
    multiples = ratios(only(WHOLE), LOOK)
    assert multiples is not None
    for figure, one in zip(multiples.figures, WHOLE.ratios, strict=True):
        n = sum(one.counts)
        assert figure.title == one.policy
        assert figure.caption == f"effective sample size {one.ess:,.0f} of {n:,} rounds ({one.ess / n:.0%})"
        assert figure.caption in figure.chart.alt


def test_all_histograms_are_to_one_scale_that_holds_every_round_and_a_ratio_of_one() -> None:
    multiples = ratios(only(WHOLE), LOOK)
    assert multiples is not None
    charts = [figure.chart for figure in multiples.figures if isinstance(figure.chart, Histogram)]
    assert len({chart.x for chart in charts}) == 1
    assert [sum(chart.counts) for chart in charts] == [sum(one.counts) for one in WHOLE.ratios]
    assert all(chart.reference == 1.0 and len(chart.edges) == len(chart.counts) + 1 for chart in charts)


def test_without_ratios_there_is_no_chart() -> None:
    assert ratios(only(replace(WHOLE, ratios=())), LOOK) is None
