"""What came of something that a page was asked to do, and by whom it was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from highwayman.feedback.trust.principal import Principal


@dataclass(frozen=True, slots=True)
class Told:
    """What came of an action, for the top of a page."""

    tone: str  # good | bad | warn
    text: str
    changed: Mapping[str, Any] = field(default_factory=dict)  # by key: the value before, and now
    taken: str = ""  # by whom


def who(caller: Principal) -> str:
    """Return by whom a change is, as the log names them."""
    return f"dashboard, {caller.key_id or 'an operator'}"
