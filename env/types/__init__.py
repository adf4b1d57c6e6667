"""The value types every package shares: what modules here declare, importable from here. Units are suffixes."""

from highwayman.env.types.aliases import Floats, JsonObject, Messages
from highwayman.env.types.arms import NO_QUIRKS, Arm, ArmState, Profile, Quirks
from highwayman.env.types.contexts import (
    BASELINE_FLAG,
    CLIENT_TASK,
    CONTROL,
    DELEGATED,
    NO_EXPLORATION,
    ONLY_DRAWN,
    RESTING_FLAG,
    SCRIPT_FLAG,
    SHADOW_OF_FLAG,
    SIMILARITY_FLAG,
    STORED_BY_FLAG,
    STORED_FROM_FLAG,
    TOOLS_DROPPED,
    Context,
    ControlDraw,
)
from highwayman.env.types.controls import Control, ControlKind
from highwayman.env.types.decisions import DEFAULT_TENANT, NAMED_MODES, TOLD, Decision, Mode
from highwayman.env.types.feedback import Feedback
from highwayman.env.types.outcomes import Attempt, CascadeStage, Outcome, Status, Usage
from highwayman.env.types.queries import CEILING_ROOM, Query
from highwayman.env.types.rewards import PreferenceChange, Reward, RewardChange

__all__ = [
    "BASELINE_FLAG",
    "CEILING_ROOM",
    "CLIENT_TASK",
    "CONTROL",
    "DEFAULT_TENANT",
    "DELEGATED",
    "NAMED_MODES",
    "NO_EXPLORATION",
    "NO_QUIRKS",
    "ONLY_DRAWN",
    "RESTING_FLAG",
    "SCRIPT_FLAG",
    "SHADOW_OF_FLAG",
    "SIMILARITY_FLAG",
    "STORED_BY_FLAG",
    "STORED_FROM_FLAG",
    "TOLD",
    "TOOLS_DROPPED",
    "Arm",
    "ArmState",
    "Attempt",
    "CascadeStage",
    "Context",
    "Control",
    "ControlDraw",
    "ControlKind",
    "Decision",
    "Feedback",
    "Floats",
    "JsonObject",
    "Messages",
    "Mode",
    "Outcome",
    "PreferenceChange",
    "Profile",
    "Query",
    "Quirks",
    "Reward",
    "RewardChange",
    "Status",
    "Usage",
]
