"""What operators and configurations change, as the log has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ControlKind(StrEnum):
    """What an operator or a new configuration changed. Only the first and the last five touch learned state."""

    ARM_ADDED = "arm_added"
    ARM_DROPPED = "arm_dropped"
    PRICE_CHANGED = "price_changed"
    POLICY_PROMOTED = "policy_promoted"
    CONFIGURATION = "configuration"
    ERASURE = "erasure"
    ROLLBACK = "rollback"
    CHANGE_NOTICED = "change_noticed"
    CHANGE_WITHDRAWN = "change_withdrawn"
    TOURNAMENT = "tournament"  # a step of the traffic's ramp, or what the guard has to say; only scores follow it
    QUARANTINE = "set_aside"  # or release: feedback is turned, the one way or the other


@dataclass(frozen=True, slots=True)
class Control:
    """A change by an operator or a new configuration; what `detail` holds depends on the kind."""

    at: float  # seconds since the epoch
    kind: ControlKind
    detail: Mapping[str, Any] = field(default_factory=dict)
