import pytest

from highwayman.sims.plots.focus import Window, best_first, focused, foremost
from tests.sims.plots.synthetic import results


def test_what_is_as_far_away_as_the_rest_is_wide_still_fits() -> None:
    assert focused([0.0, 1.0], [2.0, -1.0, 2.1, -9.0]) == Window(-1.0, 2.0)
    assert focused([0.5]) == Window(0.5, 0.5)


@pytest.mark.parametrize(("value", "arrow"), [(3.0, "↑"), (-3.0, "↓"), (1.0, ""), (0.0, "")])
def test_an_arrow_points_to_what_is_off_the_chart(value: float, arrow: str) -> None:
    assert Window(0.0, 1.0).beyond(value) == arrow


def test_what_is_off_the_chart_is_told_with_its_value_and_its_whole_name() -> None:
    name = "a policy with a very long name indeed"
    assert Window(0.0, 1.0).left_out({name: -2.5, "near": 0.5}, ".1f") == f" Off the chart: {name} −2.5 ↓."
    assert Window(0.0, 1.0).left_out({"near": 0.5}, ".1f") == ""


def test_a_band_is_in_the_frame_with_all_of_it_or_not_at_all() -> None:
    window, held = Window(0.0, 1.0).with_bands({"narrow": (-0.5, 1.2), "wide": (-3.0, 1.1)})
    assert (window, held) == (Window(-0.5, 1.2), {"narrow"})
    assert Window(0.0, 1.0).with_bands({}) == (Window(0.0, 1.0), frozenset())


def test_a_chart_is_about_the_better_half_but_not_about_fewer_than_three() -> None:
    assert [len(foremost("x" * many)) for many in (1, 3, 4, 6, 7, 12)] == [1, 3, 3, 3, 4, 6]
    (case,) = results(policies={"p": -0.2, "q": 0.3, "r": 0.1}, seeds=2, bins=2, full=False).cases()
    assert best_first(case) == ("q", "r", "p")
