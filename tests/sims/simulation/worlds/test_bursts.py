import numpy as np
import pytest

from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.worlds.bursts import Bursts
from highwayman.sims.simulation.worlds.delay import Delay
from tests.sims.simulation.courses import course


def test_times_do_not_decrease_start_at_zero_and_keep_the_mean_rate() -> None:
    at = course(Bursts(size=10.0, factor=20.0), rounds=40_000).at
    assert at[0] == 0.0
    assert (np.diff(at) >= 0.0).all()
    assert at[-1] == pytest.approx(40_000, rel=0.06)


def rounds_spanned(met: Scenario) -> float:
    """Return how many rounds begin, in the median, before the feedback of a round is there."""
    due = met.at + met.delay_s[:, 0]
    return float(np.median(np.searchsorted(met.at, due) - np.arange(met.n)))


def test_a_delay_spans_more_rounds_in_bursts() -> None:
    assert rounds_spanned(course(Delay(mean_s=5.0), Bursts())) > 3 * rounds_spanned(course(Delay(mean_s=5.0)))


def test_bursts_of_less_than_one_request_are_refused() -> None:
    with pytest.raises(ValueError, match=r"size must be a number >= 1, got 0.5"):
        Bursts(size=0.5)
