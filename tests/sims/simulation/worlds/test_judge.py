import numpy as np
import pytest

from highwayman.sims.simulation.worlds.judge import Judge
from highwayman.sims.simulation.worlds.thumbs import Thumbs
from tests.sims.simulation.courses import course


def test_without_noise_or_bias_the_judge_says_the_quality() -> None:
    met = course(Judge(noise=0.0))
    assert np.array_equal(met.feedback, met.quality)


def test_a_bias_moves_one_arm_and_no_other() -> None:
    met = course(Judge(noise=0.0, bias={"middle": -0.2}))
    assert (met.feedback - met.quality).mean(axis=0) == pytest.approx([0.0, -0.2, 0.0], abs=1e-9)


def test_noise_has_the_deviation_asked_for_and_verdicts_stay_in_range() -> None:
    met = course(Judge(noise=0.05))
    assert (met.feedback - met.quality)[:, 1].std() == pytest.approx(0.05, rel=0.05)
    assert 0.0 <= course(Judge(noise=2.0)).feedback.min() < course(Judge(noise=2.0)).feedback.max() <= 1.0


def test_a_thumb_is_heard_instead_of_a_verdict_where_one_is_given() -> None:
    thumbs, both = course(Thumbs(rate=0.2)).feedback, course(Judge(noise=0.0), Thumbs(rate=0.2))
    given = ~np.isnan(thumbs)
    assert np.array_equal(both.feedback, np.where(given, thumbs, both.quality))


def test_a_bias_beyond_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bias\[large\] must be a number in \[-1, 1\]"):
        Judge(bias={"large": 1.2})
