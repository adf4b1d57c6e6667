"""The newest events, as they stand by now."""

from highwayman.env.types import Control, ControlKind
from highwayman.serving.dashboard.recent_log import RecentEvents
from tests.feedback.worlds import decision, thumb


def test_what_was_erased_is_not_there_and_what_is_quarantined_by_now_is_told_so() -> None:
    recent = RecentEvents()
    statements = [thumb(name, 1.0, feedback_id=f"f-{name}") for name in ("kept", "gone", "turned", "back", "taken")]
    log = [
        *(decision(statement.decision_id) for statement in statements),
        *statements,
        Control(2e9, ControlKind.ERASURE, {"decision": "gone", "feedback": []}),
        Control(2e9, ControlKind.ERASURE, {"decision": "taken", "feedback": ["f-taken"]}),
        Control(2e9, ControlKind.QUARANTINE, {"decision": "turned", "feedback": ["f-turned"]}),
        Control(2e9, ControlKind.QUARANTINE, {"decision": "back", "feedback": ["f-back"]}),
        Control(2e9, ControlKind.QUARANTINE, {"decision": "back", "feedback": ["f-back"]}),
    ]
    for event in reversed(log):
        recent.add(event)
    recent.settle()
    held_back = {told.decision_id: told.quarantined for told in recent.feedback}
    assert held_back == {"kept": False, "turned": True, "back": False}
    assert set(recent.decisions) == {"kept", "turned", "back", "taken"}
