import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.sims.plots.labels import Label, label_ends, label_points, spread
from highwayman.sims.plots.style import house_style, panel, sheet

places = st.lists(st.floats(-100, 100), min_size=1, max_size=12).map(np.array)


@given(places, st.floats(0.01, 50))
def test_names_keep_their_order_and_their_distance(wanted: np.ndarray, gap: float) -> None:
    placed = spread(wanted, gap)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(placed[order]) >= gap - 1e-9).all()


@given(places)
def test_names_far_enough_apart_stay_where_they_are(wanted: np.ndarray) -> None:
    apart = np.unique(wanted)
    gap = float(np.diff(apart).min()) if len(apart) > 1 else 1.0
    assert spread(apart, gap) == pytest.approx(apart, abs=1e-6)


def test_names_at_one_place_are_laid_around_it() -> None:
    assert spread(np.array([5.0, 5.0, 5.0, 20.0]), 1.0).tolist() == [4.0, 5.0, 6.0, 20.0]


def test_names_of_points_that_lie_close_do_not_cover_each_other() -> None:
    with house_style():
        axes = panel(sheet(5.0), 0.5, 0.5, width=9.0, height=4.0)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        label_points(axes, [Label(0.5, 0.5 + 0.001 * number, f"name {number}", "#000000") for number in range(6)])
        at = [axes.transData.transform(text.get_position()) / axes.figure.dpi for text in axes.texts]
    for number, one in enumerate(at):
        for other in at[:number]:
            across, up = np.abs(one - other)
            assert up > 0.12 or across > 0.45


def test_lines_to_names_of_what_is_off_the_plot_stay_on_it() -> None:
    with house_style():
        axes = panel(sheet(3.0), 0.5, 0.5, width=5.0, height=2.0)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        label_ends(axes, [Label(1.0, 9.0, "far above", "#000000"), Label(1.0, -9.0, "far below", "#000000")])
        heights = [float(y) for line in axes.lines for y in line.get_ydata()]
    assert min(heights) >= -0.1
    assert max(heights) <= 1.1
