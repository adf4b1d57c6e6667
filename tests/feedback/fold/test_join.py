from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Control, ControlKind, Decision, RewardChange, Status
from highwayman.feedback.fold.join import attribute_reward, new_statements, preference_changes, reward_changes
from highwayman.feedback.fold.rollbacks import VoidedRange, effective_rollbacks, voided_range
from highwayman.feedback.log.event_id import previous_id, sort_key
from highwayman.feedback.log.record import LogPoint, Record
from tests.feedback.worlds import decision, outcome, thumb


def known(said: Decision, *more: object, **filed: object) -> Record:
    """The record of a decision that was the log's first event."""
    return Record(said, "1-0", *more, **filed)  # type: ignore[arg-type]


def changed(record: Record, event_id: str) -> tuple[RewardChange, ...]:
    """What the event changes of what the log says of the record's decision."""
    before = attribute_reward(record, DEFAULT_SPEC, LogPoint(event_id, inclusive=False))
    features = record.decision.context.features if record.decision is not None else np.zeros(3)
    return reward_changes(before, attribute_reward(record, DEFAULT_SPEC, LogPoint(event_id)), features)


def totals(record: Record, ids: list[str]) -> dict[str, tuple[float, float, float]]:
    sums: dict[str, list[float]] = {}
    for event_id in ids:
        for change in changed(record, event_id):
            arm = sums.setdefault(change.arm, [0.0, 0.0, 0.0])
            arm[0] += change.weight
            arm[1] += change.weighted
            arm[2] += change.squared
    return {arm: (w, wr, wrr) for arm, (w, wr, wrr) in sums.items()}


def test_ids_sort_by_number_and_not_as_text() -> None:
    assert sort_key("9-0") < sort_key("10-0") < sort_key("10-2") < sort_key("10-10")


def test_of_what_sources_say_at_once_the_weightiest_is_first_and_only_the_first_of_the_answer_opens_it() -> None:
    light, heavy = thumb("d", 1.0, source="app"), thumb("d", 0.0, metric="rating")
    record = known(decision("d"), feedback={"2-0": replace(light, weight=0.25), "3-0": replace(heavy, value=5.0)})
    before, one, both = (attribute_reward(record, DEFAULT_SPEC, LogPoint(f"{n}-0", inclusive=n > 1)) for n in (1, 2, 3))
    at_once = new_statements(before, both, DEFAULT_SPEC)
    assert [(said.source, said.weight, said.first) for said in at_once] == [
        ("user:rating", 1.0, True), ("app:thumbs", 0.25, False),
    ]  # fmt: skip
    assert [(said.source, said.first) for said in new_statements(one, both, DEFAULT_SPEC)] == [("user:rating", False)]
    assert new_statements(both, one, DEFAULT_SPEC) == ()


def test_a_preference_weighs_what_its_statement_does_and_is_taken_back_at_that_weight() -> None:
    said = replace(thumb("d", 0.75, metric="preference"), compared_arm="b", weight=0.25)
    record = known(decision("d"), feedback={"2-0": said})
    credits = [
        attribute_reward(record, DEFAULT_SPEC, LogPoint("2-0", inclusive=inclusive)) for inclusive in (False, True)
    ]
    (change,) = preference_changes(*credits, np.ones(3), at=7.0)
    weight = DEFAULT_SPEC.contributions([said])[0].weight
    assert 0 < weight < 1
    assert (change.better, change.worse, change.weight, change.share, change.at) == ("a", "b", weight, 0.75, 7.0)
    (back,) = preference_changes(*reversed(credits), np.ones(3), at=7.0)
    assert (back.better, back.weight) == ("a", -weight)


def test_only_what_compares_and_weighs_something_is_a_preference() -> None:
    compared = replace(thumb("d", 0.75, metric="preference"), compared_arm="b")
    for said, count in ((compared, 1), (replace(compared, weight=0.0), 0), (thumb("d", 1.0), 0)):
        record = known(decision("d"), feedback={"2-0": said})
        before, after = (attribute_reward(record, DEFAULT_SPEC, LogPoint("2-0", inclusive=i)) for i in (False, True))
        assert len(preference_changes(before, after, np.ones(3))) == count


def test_the_first_thumb_is_one_observation() -> None:
    record = known(decision("d"), feedback={"5-0": thumb("d", 1.0)})
    (change,) = changed(record, "5-0")
    assert (change.arm, change.weight, change.weighted, change.squared) == ("a", 1.0, 1.0, 1.0)


def test_a_call_that_was_given_up_does_not_tell_who_served_it_and_its_real_end_does() -> None:
    lost = known(decision("d", arm="a"), outcome("d", arm="b", status=Status.LOST), "4-0")
    ended = known(decision("d", arm="a"), outcome("d", arm="b"), "6-0")
    assert lost.served_arm() == "a"
    assert (ended.served_arm(LogPoint("5-0")), ended.served_arm()) == ("a", "b")


def test_a_flip_changes_the_reward_and_not_the_weight() -> None:
    record = known(decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", 0.0)})
    (change,) = changed(record, "6-0")
    assert (change.weight, change.weighted, change.squared) == (0.0, -1.0, -1.0)


def test_a_duplicate_changes_nothing() -> None:
    record = known(decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", 1.0)})
    assert changed(record, "6-0") == ()


def test_a_retraction_takes_the_observation_away() -> None:
    record = known(decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", None)})
    assert totals(record, ["5-0", "6-0"]) == {"a": (0.0, 0.0, 0.0)}


def test_what_was_filed_later_does_not_change_what_an_earlier_event_taught() -> None:
    early = known(decision("d"), feedback={"5-0": thumb("d", 1.0)})
    late = known(decision("d"), feedback={"5-0": thumb("d", 1.0), "7-0": thumb("d", 0.0)})
    (before,), (after,) = changed(early, "5-0"), changed(late, "5-0")
    assert (before.weight, before.weighted) == (after.weight, after.weighted)


def test_two_sources_are_averaged_by_weight() -> None:
    record = known(
        decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", 3.0, source="grader", metric="rating")}
    )
    found = attribute_reward(record, DEFAULT_SPEC)
    assert found is not None
    reward = found.reward
    assert (reward.weight, reward.quality) == (2.0, pytest.approx(0.75))
    assert reward.parts == {"user:thumbs": 1.0, "grader:rating": 0.5}


def test_feedback_after_a_failover_teaches_the_arm_that_served() -> None:
    record = known(decision("d"), outcome("d", arm="b"), "4-0", {"5-0": thumb("d", 1.0)})
    (change,) = changed(record, "5-0")
    assert change.arm == "b"


def test_an_outcome_that_comes_after_the_thumb_moves_it_to_the_arm_that_served() -> None:
    record = known(decision("d"), outcome("d", arm="b"), "6-0", {"5-0": thumb("d", 1.0)})
    assert totals(record, ["5-0", "6-0"]) == {"a": (0.0, 0.0, 0.0), "b": (1.0, 1.0, 1.0)}


def test_an_outcome_without_feedback_teaches_nothing() -> None:
    record = known(decision("d"), outcome("d", arm="b"), "4-0")
    assert changed(record, "4-0") == ()


def test_feedback_that_reaches_the_log_before_its_decision_counts_from_the_decision_on() -> None:
    record = Record(decision("d"), "7-0", feedback={"5-0": thumb("d", 1.0)})
    assert changed(record, "5-0") == ()
    assert totals(record, ["5-0", "7-0"]) == {"a": (1.0, 1.0, 1.0)}


def test_of_two_values_the_one_accepted_later_counts_whichever_reached_the_log_first() -> None:
    late = {"5-0": thumb("d", 0.0, at=20.0), "6-0": thumb("d", 1.0, at=10.0)}
    assert totals(known(decision("d"), feedback=late), ["5-0", "6-0"]) == {"a": (1.0, 0.0, 0.0)}


def test_two_persons_are_two_observations() -> None:
    said = {"5-0": thumb("d", 1.0, user="ann"), "6-0": thumb("d", 0.0, user="bob"), "7-0": thumb("d", 1.0, user="bob")}
    assert totals(known(decision("d"), feedback=said), ["5-0", "6-0", "7-0"]) == {"a": (2.0, 2.0, 2.0)}


def test_an_erasure_takes_everything_away_and_nothing_comes_after_it() -> None:
    said = {"5-0": thumb("d", 1.0), "9-0": thumb("d", 0.0)}
    record = known(decision("d"), feedback=said, erased_id="8-0")
    assert totals(record, ["5-0", "8-0", "9-0"]) == {"a": (0.0, 0.0, 0.0)}


def test_feedback_in_a_void_stretch_is_passed_over() -> None:
    record = known(decision("d"), feedback={"5-0": thumb("d", 1.0), "6-0": thumb("d", 0.0)})
    inside = attribute_reward(record, DEFAULT_SPEC, voided=[VoidedRange("5-0", "6-0")])
    assert inside is not None
    assert (inside.reward.weight, inside.reward.quality) == (1.0, 1.0)


def test_a_withdrawn_notice_stays_withdrawn_whatever_is_rolled_back() -> None:
    notice = voided_range(Control(1.0, ControlKind.CHANGE_WITHDRAWN, {"event": "7-0"}), "20-0")
    assert notice is not None
    assert "7-0" in notice
    assert "6-0" not in notice
    assert "7-1" not in notice
    earlier, later = VoidedRange("3-0", "15-0"), VoidedRange("16-0", "30-0")
    assert effective_rollbacks([earlier, notice]) == (earlier, notice)
    assert effective_rollbacks([notice, later]) == (later, notice)
    assert effective_rollbacks([earlier, notice, later]) == (earlier, later, notice)


@pytest.mark.parametrize(("event_id", "smaller"), [("7-3", "7-2"), ("7-0", f"6-{2**64 - 1}")])
def test_the_id_before_another_is_the_largest_smaller_one(event_id: str, smaller: str) -> None:
    assert previous_id(event_id) == smaller
