import numpy as np
import pytest

from highwayman.sims.plots.bands import band, rolling, thinned
from tests.sims.plots.synthetic import results


def test_a_rolling_mean_weighs_bins_by_their_rounds() -> None:
    rounds = np.array([100.0, 200.0, 300.0, 350.0])
    found = rolling(np.array([[1.0, 2.0, 3.0, 6.0]]), rounds, 200)
    # the last: 50 rounds at 6, 100 at 3, 100 at 2, as the window would begin within a bin, which then counts whole
    assert found[0] == pytest.approx([1.0, 1.5, 2.5, (50 * 6 + 100 * 3 + 100 * 2) / 250])


def test_a_bin_longer_than_the_window_stands_alone() -> None:
    assert rolling(np.array([[1.0, 2.0]]), np.array([600.0, 1200.0]), 500).tolist() == [[1.0, 2.0]]


def test_thinning_averages_neighbours_and_keeps_the_mean() -> None:
    rounds = np.arange(1.0, 11.0)
    ends, means = thinned(rounds, np.arange(10.0)[None], most=5)
    assert (ends.tolist(), means.tolist()) == ([2, 4, 6, 8, 10], [[0.5, 2.5, 4.5, 6.5, 8.5]])


def test_thinning_what_is_a_sum_so_far_keeps_values() -> None:
    ends, kept = thinned(np.arange(1.0, 8.0), np.arange(7.0)[None], keep_last=True, most=3)
    assert (ends.tolist(), kept.tolist()) == ([3, 6, 7], [[2, 5, 6]])


def test_a_band_is_the_mean_of_the_seeds_with_its_t_interval() -> None:
    (case,) = results(policies={"p": 0.1}, seeds=3, bins=2, full=False).cases()
    found = band(case, "p", "value")
    assert found is not None
    _, values = case.curve("p")
    assert found.mean == pytest.approx(values.mean(axis=0))
    half = 4.302652729911275 * values.std(axis=0, ddof=1) / np.sqrt(3)
    assert found.high - found.mean == pytest.approx(half)


def test_one_seed_has_a_line_and_no_band() -> None:
    (case,) = results(policies={"p": 0.1}, seeds=1, bins=2, full=False).cases()
    found = band(case, "p", "value")
    assert found is not None
    assert np.isfinite(found.mean).all()
    assert np.isnan(found.low).all()
    assert band(case, "best fixed", "value") is None  # no curve
