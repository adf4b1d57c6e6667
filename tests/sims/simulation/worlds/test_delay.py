import numpy as np
import pytest

from highwayman.sims.simulation.worlds.delay import Delay
from tests.sims.simulation.courses import course


@pytest.mark.parametrize("sigma", [None, 0.5])
def test_delays_have_the_mean_asked_for(sigma: float | None) -> None:
    delays = course(Delay(mean_s=60.0, sigma=sigma)).delay_s
    assert delays.min() >= 0.0
    assert delays.mean() == pytest.approx(60.0, rel=0.03)


def test_a_log_normal_delay_has_the_spread_asked_for() -> None:
    assert np.log(course(Delay(mean_s=60.0, sigma=0.5)).delay_s).std() == pytest.approx(0.5, rel=0.03)


def test_delays_add_up() -> None:
    assert course(Delay(mean_s=60.0), Delay(mean_s=40.0)).delay_s.mean() == pytest.approx(100.0, rel=0.03)


def test_what_would_come_after_the_window_never_comes() -> None:
    met = course(Delay(mean_s=60.0, window_s=60.0))
    assert np.array_equal(np.isnan(met.feedback), met.delay_s > 60.0)
    assert np.isnan(met.feedback).mean() == pytest.approx(np.exp(-1.0), abs=0.02)


def test_twice_the_mean_is_twice_each_delay() -> None:
    assert course(Delay(mean_s=120.0)).delay_s == pytest.approx(2 * course(Delay(mean_s=60.0)).delay_s)


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="window_s must be a number > 0, got 0"):
        Delay(window_s=0.0)
