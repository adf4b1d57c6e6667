"""A mean reward's interval, looked at after every answer."""

import numpy as np
import pytest

from highwayman.feedback.fold.tallies.history import ArmSums
from highwayman.feedback.savings.reward_band import reward_band


def answers(n: int, good: int, *, weight: float = 1.0) -> ArmSums:
    return ArmSums(
        rated=n, weight=n * weight, weighted=good * weight, squared=good * weight, weight_squared=n * weight**2
    )


def test_the_interval_is_wrong_at_any_look_of_a_long_run_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(0)
    looks, runs, missed = (5, 10, 20, 40, 80, 160, 320, 640, 1280), 300, 0
    for mean in (0.5, 0.9):
        good = (rng.random((runs, looks[-1])) < mean).cumsum(axis=1)
        for run in good:
            bands = [reward_band([answers(n, int(run[n - 1]))]) for n in looks]
            missed += any(band.low > mean or band.high < mean for band in bands)  # type: ignore[operator]
    assert missed / (2 * runs) <= 0.05


def test_weights_are_shares_of_answers_and_parts_add_up() -> None:
    whole = reward_band([answers(80, 60)])
    assert reward_band([answers(30, 20), answers(50, 40)]) == whole
    assert whole.mean == pytest.approx(0.75)
    light = reward_band([answers(80, 60, weight=0.25)])
    assert (light.mean, light.low, light.high) == pytest.approx((whole.mean, whole.low, whole.high))


def test_what_is_hardly_known_has_no_interval_and_praise_alone_is_no_certainty() -> None:
    assert reward_band([]).mean is None
    assert reward_band([answers(4, 4)]).low is None
    praised = reward_band([answers(5, 5)])
    assert praised.high == 1.0
    assert praised.low is not None
    assert praised.low < 0.5
