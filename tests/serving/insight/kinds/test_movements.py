"""What moved a kind's traffic, in a sentence of numbers and events."""

import numpy as np

from highwayman.env.types import ControlKind
from highwayman.feedback.fold.tallies.change_list import RecordedChange
from highwayman.serving.insight.kinds.movements import movement
from highwayman.serving.insight.kinds.sample import Sample

START = 1_700_000_000.0  # Nov 14, 22:13 UTC
NAN = float("nan")


def sample(shares: list[float], *, penalty: list[float] | None = None, rated: int = 0) -> Sample:
    """One query a minute of two arms; the first one's probability as given, and its penalty."""
    n = len(shares)
    probs = np.column_stack([shares, 1.0 - np.array(shares)])
    penalties = np.column_stack([penalty or [0.0] * n, np.zeros(n)])
    credited, quality = np.full(n, -1), np.full(n, NAN)
    credited[:rated], quality[:rated] = 0, 0.75
    at = START + 60.0 * np.arange(n)
    return Sample([], ("a", "b"), np.zeros((n, 1)), at, np.zeros(n, dtype=np.intp), probs, penalties, credited,
                  quality, np.ones(n))  # fmt: skip


def said(found: Sample, *changes: RecordedChange) -> str:
    return movement(found, np.arange(len(found.at)), changes, middle=float(np.median(found.at))).words


def test_what_stayed_is_said_to_have_stayed_and_of_few_nothing_is_told() -> None:
    assert said(sample([0.8] * 40)) == "Nothing moved: a had 80% of them and has 80%."
    assert said(sample([0.8] * 12)).startswith("Too few queries")


def test_a_movement_is_told_with_its_time_the_ratings_and_the_penalty_that_changed() -> None:
    moved = movement(
        sample([0.9] * 40 + [0.1] * 40, penalty=[0.05] * 40 + [0.25] * 40, rated=8),
        np.arange(80),
        (),
        middle=START + 2400,
    )
    assert (moved.to, moved.away_from) == ("b", "a")
    assert moved.when is not None
    assert abs(moved.when - (START + 2400)) < 400
    assert moved.words == (
        "b went from 10% to 90% of them, a from 90% to 10%; half-way by Nov 14 22:53. The penalty of a, what its calls "
        "cost in quality, rose from 0.05 to 0.25. 8 rated answers of a: 0.75 on average."
    )


def test_an_arm_that_joined_is_said_to_have_been_no_candidate_before() -> None:
    joined = sample([0.0] * 40 + [0.9] * 40, penalty=[NAN] * 40 + [0.0] * 40)
    assert "a was first a candidate at Nov 14 22:53." in said(joined)


def test_only_events_near_the_movement_and_of_its_arms_or_of_everybody_are_told() -> None:
    found = sample([0.9] * 40 + [0.1] * 40)
    near, far = START + 2400, START + 60
    told = said(
        found,
        RecordedChange(near, ControlKind.ARM_ADDED, {"arm": "c", "usd_per_mtok": [1.0, 1.0]}),
        RecordedChange(far, ControlKind.ARM_ADDED, {"arm": "b", "usd_per_mtok": [1.0, 1.0]}),
        RecordedChange(near, ControlKind.CHANGE_NOTICED, {"arm": "a", "better": False}),
    )
    assert "Meanwhile, at Nov 14 22:53: a was noticed to answer worse than before" in told
    assert "joined" not in told
