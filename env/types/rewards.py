"""What feedback comes to: rewards, and the changes of them that policies learn from; d features."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from highwayman.env.types.aliases import Floats


@dataclass(frozen=True, slots=True)
class Reward:
    """A quality in [0, 1] with its weight (precision); weight 0 means nothing is known: censored, never zero."""

    quality: float
    weight: float
    parts: Mapping[str, float] = field(default_factory=dict)
    spec: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class RewardChange:
    """What one event changes of what is known about an arm at a context.

    With w the weight and r the quality, a policy's statistics are sums over rounds of w, w*r and w*r**2 (times
    features): so a change is the difference of these three, and a flip or a retraction is exact.
    """

    arm: str
    features: Floats  # (d,)
    weight: float  # change of w
    weighted: float  # change of w*r
    squared: float  # change of w*r**2
    at: float = 0.0  # seconds since the epoch: when its round was decided; 0: unknown, it counts as now


@dataclass(frozen=True, slots=True, eq=False)
class PreferenceChange:
    """What one event changes of which of two arms' answers to one query was preferred."""

    better: str  # the arm preferred
    worse: str
    features: Floats  # (d,)
    weight: float = 1.0  # change of weight: negative takes a preference back
    share: float = 1.0  # of the preference that the better one got, in [0, 1]: 0.5 is a tie
    at: float = 0.0  # seconds since the epoch: when the query was asked; 0: unknown
