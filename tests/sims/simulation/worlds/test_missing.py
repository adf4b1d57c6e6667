import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.sims.simulation.scenario import WorldError
from highwayman.sims.simulation.worlds.missing import Missing
from highwayman.sims.simulation.worlds.thumbs import Thumbs
from tests.sims.simulation.courses import course

ALL_THUMBS = Thumbs(rate=1.0)


def said_share(missing: Missing, among: Floats | None = None) -> float:
    said = ~np.isnan(course(ALL_THUMBS, missing).feedback)
    return float(said.mean() if among is None else said[among.astype(bool)].mean())


def test_feedback_is_given_at_the_rate() -> None:
    assert said_share(Missing(rate=0.2)) == pytest.approx(0.2, abs=0.015)


def test_the_displeased_speak_at_their_own_rate() -> None:
    thumbs = course(ALL_THUMBS).feedback
    missing = Missing(rate=0.1, rate_when_bad=0.6)
    assert said_share(missing, thumbs) == pytest.approx(0.1, abs=0.015)
    assert said_share(missing, 1 - thumbs) == pytest.approx(0.6, abs=0.02)


def test_an_arm_has_its_own_factor() -> None:
    shares = (~np.isnan(course(ALL_THUMBS, Missing(rate=0.4, factors={"middle": 0.5})).feedback)).mean(axis=0)
    assert shares == pytest.approx([0.4, 0.2, 0.4], abs=0.025)


def test_what_is_said_is_not_changed_and_what_was_unsaid_stays_so() -> None:
    before, after = course(Thumbs(rate=0.5)).feedback, course(Thumbs(rate=0.5), Missing(rate=0.5)).feedback
    said = ~np.isnan(after)
    assert np.array_equal(after[said], before[said])


def test_at_a_higher_rate_the_same_are_heard_and_more() -> None:
    few, many = (~np.isnan(course(Missing(rate=rate)).feedback) for rate in (0.1, 0.3))
    assert (few <= many).all()


def test_a_factor_for_an_arm_that_is_not_there_is_refused() -> None:
    with pytest.raises(WorldError, match=r"unknown arm 'midle' \(did you mean 'middle'\?\)"):
        course(Missing(factors={"midle": 0.5}))


def test_a_rate_of_more_than_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rate must be a number in \[0, 1\], got 1.5"):
        Missing(rate=1.5)
