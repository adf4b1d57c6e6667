import pytest

from highwayman.env.reward import DEFAULT_SPEC
from highwayman.feedback.join import Record, changes, credit, order
from tests.feedback.worlds import decision, outcome, thumb


def totals(record: Record, ids: list[str]) -> dict[str, tuple[float, float, float]]:
    sums: dict[str, list[float]] = {}
    for event_id in ids:
        for change in changes(record, event_id, DEFAULT_SPEC):
            arm = sums.setdefault(change.arm, [0.0, 0.0, 0.0])
            arm[0] += change.weight
            arm[1] += change.weighted
            arm[2] += change.squared
    return {arm: (w, wr, wrr) for arm, (w, wr, wrr) in sums.items()}


def test_ids_sort_by_number_and_not_as_text() -> None:
    assert order("9-0") < order("10-0") < order("10-2") < order("10-10")


def test_the_first_thumb_is_one_observation() -> None:
    record = Record(decision("d"), feedback={"5-0": thumb("d", 1.0)})
    (change,) = changes(record, "5-0", DEFAULT_SPEC)
    assert (change.arm, change.weight, change.weighted, change.squared) == ("a", 1.0, 1.0, 1.0)


def test_a_flip_changes_the_reward_and_not_the_weight() -> None:
    record = Record(decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", 0.0)})
    (change,) = changes(record, "6-0", DEFAULT_SPEC)
    assert (change.weight, change.weighted, change.squared) == (0.0, -1.0, -1.0)


def test_a_duplicate_changes_nothing() -> None:
    record = Record(decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", 1.0)})
    assert changes(record, "6-0", DEFAULT_SPEC) == ()


def test_a_retraction_takes_the_observation_away() -> None:
    record = Record(decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", None)})
    assert totals(record, ["5-0", "6-0"]) == {"a": (0.0, 0.0, 0.0)}


def test_what_was_filed_later_does_not_change_what_an_earlier_event_taught() -> None:
    early = Record(decision("d"), feedback={"5-0": thumb("d", 1.0)})
    late = Record(decision("d"), feedback={"5-0": thumb("d", 1.0), "7-0": thumb("d", 0.0)})
    (before,), (after,) = changes(early, "5-0", DEFAULT_SPEC), changes(late, "5-0", DEFAULT_SPEC)
    assert (before.weight, before.weighted) == (after.weight, after.weighted)


def test_two_sources_are_averaged_by_weight() -> None:
    record = Record(
        decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", 3.0, source="grader", metric="rating")}
    )
    reward = credit(record, DEFAULT_SPEC).reward
    assert (reward.weight, reward.quality) == (2.0, pytest.approx(0.75))
    assert reward.parts == {"user:thumbs": 1.0, "grader:rating": 0.5}


def test_feedback_after_a_failover_teaches_the_arm_that_served() -> None:
    record = Record(decision("d"), outcome("d", arm="b"), "4-0", {"5-0": thumb("d", 1.0)})
    (change,) = changes(record, "5-0", DEFAULT_SPEC)
    assert change.arm == "b"


def test_an_outcome_that_comes_after_the_thumb_moves_it_to_the_arm_that_served() -> None:
    record = Record(decision("d"), outcome("d", arm="b"), "6-0", {"5-0": thumb("d", 1.0)})
    assert totals(record, ["5-0", "6-0"]) == {"a": (0.0, 0.0, 0.0), "b": (1.0, 1.0, 1.0)}


def test_an_outcome_without_feedback_teaches_nothing() -> None:
    record = Record(decision("d"), outcome("d", arm="b"), "4-0")
    assert changes(record, "4-0", DEFAULT_SPEC) == ()
