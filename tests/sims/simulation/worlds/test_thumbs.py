import numpy as np
import pytest

from highwayman.sims.simulation.worlds.thumbs import Thumbs
from tests.sims.simulation.courses import QUALITY, course


def test_thumbs_are_given_at_the_rate_and_are_one_bit() -> None:
    said = course(Thumbs(rate=0.05)).feedback
    assert (~np.isnan(said)).mean() == pytest.approx(0.05, abs=0.01)
    assert set(said[~np.isnan(said)]) == {0.0, 1.0}


def test_a_thumb_is_up_with_the_probability_that_is_the_quality() -> None:
    assert course(Thumbs(rate=1.0)).feedback.mean(axis=0) == pytest.approx(QUALITY, abs=0.03)


def test_the_share_that_is_flipped_is_the_one_asked_for() -> None:
    straight, flipped = course(Thumbs(rate=1.0)).feedback, course(Thumbs(rate=1.0, flip=0.1)).feedback
    assert (straight != flipped).mean() == pytest.approx(0.1, abs=0.01)


def test_at_a_higher_rate_the_same_thumbs_are_given_and_more() -> None:
    few, many = (course(Thumbs(rate=rate)).feedback for rate in (0.1, 0.3))
    given = ~np.isnan(few)
    assert np.array_equal(few[given], many[given])


def test_truth_stays_what_it_is() -> None:
    assert np.array_equal(course(Thumbs(flip=0.5)).quality, course().quality)


def test_a_flip_of_more_than_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"flip must be a number in \[0, 1\], got 2"):
        Thumbs(flip=2.0)
