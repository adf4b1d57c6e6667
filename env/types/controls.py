"""What operators and configurations change, as the log has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ControlKind(StrEnum):
    """What an operator or a new configuration changed. Only the first and the last five touch learned state."""

    ARM_ADDED = "arm_added"  # to the pool
    ARM_DROPPED = "arm_dropped"  # from the pool; what was learned of it stays, should it return
    PRICE_CHANGED = "price_changed"  # of an arm
    POLICY_PROMOTED = "policy_promoted"  # another lineage is in force
    CONFIGURATION = "configuration"  # a router started with another one, or read it again
    ERASURE = "erasure"  # of a decision, with all that it taught
    ROLLBACK = "rollback"  # feedback since some version does not count
    CHANGE_NOTICED = "change_noticed"  # an arm answers otherwise than it did
    CHANGE_WITHDRAWN = "change_withdrawn"  # the notice came of feedback that is set aside
    TOURNAMENT = "tournament"  # a step of the traffic's ramp, or what the guard has to say; only scores follow it
    QUARANTINE = "set_aside"  # or release: feedback is turned, the one way or the other


@dataclass(frozen=True, slots=True)
class Control:
    """A change by an operator or a new configuration; what `detail` holds depends on the kind."""

    at: float  # seconds since the epoch
    kind: ControlKind  # what was changed
    detail: Mapping[str, Any] = field(default_factory=dict)  # how, by names that hang on the kind
