import numpy as np
import pytest

from highwayman.sims.simulation.scenario import WorldError
from highwayman.sims.simulation.worlds.quality_drop import QualityDrop
from highwayman.sims.simulation.worlds.thumbs import Thumbs
from tests.sims.simulation.courses import course


def test_one_arm_becomes_worse_from_then_on_and_feedback_follows() -> None:
    calm, met = course(rounds=100), course(QualityDrop(arm="large", factor=0.5, from_share=0.4), rounds=100)
    assert np.array_equal(met.quality[:40], calm.quality[:40])
    assert met.quality[40:] == pytest.approx(calm.quality[40:] * [1.0, 1.0, 0.5])
    assert np.array_equal(met.feedback, met.quality)


def test_thumbs_follow_whichever_way_round_the_worlds_are_given() -> None:
    drop, thumbs = QualityDrop(arm="best", factor=0.0), Thumbs(rate=1.0)
    for worlds in ((drop, thumbs), (thumbs, drop)):
        said = course(*worlds).feedback
        assert said[2000:, 2].max() == 0.0
        assert said[:2000, 2].mean() > 0.7


def test_price_and_pool_say_nothing_of_it() -> None:
    calm, met = course(), course(QualityDrop())
    assert np.array_equal(met.price_usd, calm.price_usd)
    assert np.array_equal(met.available, calm.available)


def test_applied_by_hand_after_thumbs_it_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(WorldError, match="QualityDrop comes before"):
        QualityDrop().apply(course(Thumbs()), rng)


def test_a_stretch_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from_share must be less than until_share, got 0.5 and 0.5"):
        QualityDrop(until_share=0.5)
