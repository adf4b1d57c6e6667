"""From what was said about an answer to one quality in [0, 1] with a weight."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from highwayman.env.errors import InvalidFeedback
from highwayman.env.types import Feedback, Reward


@dataclass(frozen=True, slots=True)
class Metric:
    """A kind of statement: its range of values, mapped linearly to quality, and how much it counts."""

    name: str
    low: float = 0.0
    high: float = 1.0
    boolean: bool = False
    weight: float = 1.0

    def quality(self, value: float) -> float:
        """Return the quality in [0, 1] that `value` stands for."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class RewardSpec:
    """The declared metrics; `version` changes whenever they do."""

    metrics: Mapping[str, Metric]
    version: int = 1

    def checked(self, metric: str, value: float | bool | None) -> float | None:
        """Return `value` as the number to file, None for a retraction.

        Raises:
            InvalidFeedback: unknown metric, or a value out of its range.
        """
        if metric not in self.metrics:
            raise InvalidFeedback(f"unknown metric {metric!r}; declared are {', '.join(self.metrics)}")
        if value is None:
            return None
        declared = self.metrics[metric]
        if declared.boolean and value not in (0, 1):
            raise InvalidFeedback(f"metric {metric!r} takes true or false (null retracts), got {value!r}")
        number = float(value)
        kind_fits = declared.boolean or not isinstance(value, bool)  # true is not one star
        if not (kind_fits and math.isfinite(number) and declared.low <= number <= declared.high):
            raise InvalidFeedback(f"metric {metric!r} takes {declared.low:g} to {declared.high:g}, got {value!r}")
        return number

    def reward(self, said: Iterable[Feedback]) -> Reward:
        """Return the reward of everything said about one decision, in log order.

        The newest value of a (source, metric, person) counts, a retraction removes it; what is left is averaged by
        weight. Newest is what was accepted last; at the same instant, what reached the log last. Nothing said, or a
        metric no longer declared, leaves weight 0: censored, not zero.
        """
        newest: dict[tuple[str, str, str], Feedback] = {}
        for feedback in said:
            whose = (feedback.source, feedback.metric, feedback.user)
            standing = newest.get(whose)
            if standing is None or feedback.at >= standing.at:
                newest[whose] = feedback
        parts: dict[str, float] = {}
        total = weighted = 0.0
        for whose in sorted(newest):  # one order, whatever order they came in: sums of floats depend on it
            feedback, metric = newest[whose], self.metrics.get(whose[1])
            if metric is None or feedback.value is None:
                continue
            quality, weight = metric.quality(feedback.value), metric.weight * feedback.weight
            parts[":".join(filter(None, whose))] = quality
            total += weight
            weighted += weight * quality
        return Reward(weighted / total if total else 0.0, total, parts, self.version)


DEFAULT_SPEC = RewardSpec(
    MappingProxyType(
        {
            "thumbs": Metric("thumbs", boolean=True),
            "rating": Metric("rating", low=1.0, high=5.0),
            "quality": Metric("quality"),
        }
    )
)
