import pytest

from highwayman.sims.plots.focus import Window, best_first, focused, foremost
from highwayman.sims.plots.labels import Label
from tests.sims.plots.synthetic import results


def test_what_is_as_far_away_as_the_rest_is_wide_still_fits() -> None:
    assert focused([0.0, 1.0], [2.0, -1.0, 2.1, -9.0]) == Window(-1.0, 2.0)
    assert focused([0.5]) == Window(0.5, 0.5)


@pytest.mark.parametrize(("value", "arrow"), [(3.0, "↑"), (-3.0, "↓"), (1.0, ""), (0.0, "")])
def test_an_arrow_points_to_what_is_off_the_plot(value: float, arrow: str) -> None:
    assert Window(0.0, 1.0).beyond(value) == arrow


def test_what_is_off_the_plot_is_told_with_its_value_however_long_its_name() -> None:
    told = Window(0.0, 1.0).label_with_value(
        Label(0.0, -2.5, "a policy with a very long name indeed", "#000000"), ".1f"
    )
    assert told.line.endswith(" −2.5 ↓")
    assert len(told.line) <= 24
    inside = Label(0.0, 0.5, "p", "#000000")
    assert Window(0.0, 1.0).label_with_value(inside, ".1f") is inside


def test_a_plot_is_about_the_better_half_but_not_about_fewer_than_three() -> None:
    assert [len(foremost("x" * many)) for many in (1, 3, 4, 6, 7, 12)] == [1, 3, 3, 3, 4, 6]
    (case,) = results(policies={"p": -0.2, "q": 0.3, "r": 0.1}, seeds=2, bins=2, full=False).cases()
    assert best_first(case) == ("q", "r", "p")
