"""What the log's changes say of arms that were no candidates."""

import pytest

from highwayman.env.types import ControlKind
from highwayman.feedback.fold.tallies.change_list import RecordedChange
from highwayman.serving.decisions.explanation import joined_later

CHANGES = [
    RecordedChange(at, kind, {"arm": "late"})
    for at, kind in ((5.0, ControlKind.ARM_ADDED), (6.0, ControlKind.ARM_DROPPED), (8.0, ControlKind.ARM_ADDED))
]


@pytest.mark.parametrize(("at", "later"), [(4.0, True), (5.5, False), (7.0, True), (9.0, False)])
def test_an_arm_that_came_after_a_decision_joined_later_also_where_it_had_been_there_before(
    at: float, later: bool
) -> None:
    assert joined_later("late", at, CHANGES) is later
    assert not joined_later("other", at, CHANGES)
