"""What an arm's sums tell of the quality of its answers."""

import numpy as np
import pytest

from highwayman.env.types import RewardChange
from highwayman.feedback.fold.tally import Tally


def test_quality_of_one_thumb_up_is_wilsons_interval() -> None:
    tally = Tally()
    arm = tally.arm("a")
    arm.weight = arm.weighted = arm.squared = 1.0
    mean, low, high = arm.quality()
    assert (mean, low, high) == (1.0, pytest.approx(0.2065, abs=1e-4), pytest.approx(1.0))


def test_quality_is_the_weighted_mean_of_what_was_said() -> None:
    tally = Tally()
    tally.on_reward_changes(
        [RewardChange("a", np.ones(1), 3.0, 0.0, 0.0), RewardChange("a", np.ones(1), 1.0, 0.5, 0.25)]
    )
    assert tally.arm("a").quality()[0] == pytest.approx(0.125)
    assert (tally.arm("a").weight, tally.arm("a").weighted, tally.arm("a").squared) == (4.0, 0.5, 0.25)


def test_an_arm_without_feedback_has_no_quality() -> None:
    assert Tally().arm("a").quality() == (None, 0.0, 1.0)


def test_quality_of_eight_thumbs_up_of_ten_is_wilsons_interval() -> None:
    tally = Tally()
    tally.on_reward_changes([RewardChange("a", np.ones(1), 10.0, 8.0, 8.0)])
    assert tally.arm("a").quality() == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
