import pytest

from highwayman.env.types import Control, ControlKind
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.fold.rollbacks import VoidedRange, effective_rollbacks, voided_range
from tests.feedback.worlds import decision

BACK = VoidedRange("20-0", "60-0")  # a rollback at 60-0, to 20-0
FURTHER = VoidedRange("10-0", "90-0")
LATER = VoidedRange("70-0", "90-0")
NOTICE = VoidedRange("29-18446744073709551615", "30-0")


def test_what_came_after_the_place_gone_back_to_is_void_up_to_the_rollback_itself() -> None:
    inside = [event_id for event_id in ("19-9", "20-0", "20-1", "60-0", "60-1", "100-0") if event_id in BACK]
    assert inside == ["20-1", "60-0"]


@pytest.mark.parametrize(
    ("kind", "detail", "span"),
    [
        (ControlKind.ROLLBACK, {"position": "20-0"}, BACK),
        (ControlKind.CHANGE_WITHDRAWN, {"event": "30-0"}, NOTICE),
        (ControlKind.CHANGE_NOTICED, {"event": "30-0", "position": "20-0"}, None),
    ],
)
def test_a_rollback_makes_a_stretch_void_a_withdrawal_one_event_and_nothing_else_any(
    kind: ControlKind, detail: dict[str, str], span: VoidedRange | None
) -> None:
    assert voided_range(Control(1.0, kind, detail), "60-0") == span
    assert voided_range(decision("d"), "60-0") is None


def test_only_a_withdrawn_notice_is_a_stretch_of_one_event() -> None:
    assert (NOTICE.is_single_event, BACK.is_single_event) == (True, False)
    assert VoidedRange("30-0", "30-1").is_single_event


@pytest.mark.parametrize("position", ["somewhere", ""])
def test_a_rollback_to_no_place_is_refused(position: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        voided_range(Control(1.0, ControlKind.ROLLBACK, {"position": position}), "60-0")


def test_what_was_withdrawn_stays_so_whatever_is_rolled_back_and_each_of_it_once() -> None:
    assert effective_rollbacks([NOTICE, BACK, NOTICE]) == (BACK, NOTICE)
    assert effective_rollbacks([NOTICE, BACK, FURTHER]) == (FURTHER, NOTICE)
    other = VoidedRange("25-0", "25-1")
    assert effective_rollbacks([NOTICE, other]) == (other, NOTICE)


@pytest.mark.parametrize(
    ("position", "known", "on_the_log", "is_one"),
    [
        ("20-0", (), (BACK,), True),  # nothing void was learned yet
        ("20-1", (), (BACK,), False),  # something was
        ("80-0", (BACK,), (BACK,), True),
        ("80-0", (), (BACK,), False),
        ("80-0", (BACK,), (BACK, LATER), False),  # it has learned what is void by now
        ("70-0", (BACK,), (BACK, LATER), True),
        ("80-0", (BACK,), (BACK, FURTHER), False),  # the first one does not hold any more, nor does what it led to
        ("10-0", (), (BACK, FURTHER), True),
        ("100-0", (BACK, FURTHER), (FURTHER,), True),  # whatever else was met does not hold
        ("40-0", (), (NOTICE,), False),
        ("40-0", (NOTICE,), (NOTICE,), True),
    ],
)
def test_a_state_can_be_gone_on_from_if_it_knows_just_those_stretches_that_a_fold_had_met_there(
    position: str, known: tuple[VoidedRange, ...], on_the_log: tuple[VoidedRange, ...], is_one: bool
) -> None:
    assert Snapshot(position, b"", b"", known).is_prefix_of(on_the_log) == is_one
