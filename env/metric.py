"""Kinds of statements about answers: what values they take, and what these say about quality."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from highwayman.env.errors import InvalidFeedback

LONGEST_TEXT = 16_384  # characters of a comment, a demonstration or a choice


class MetricKind(StrEnum):
    """What values a metric takes."""

    BOOLEAN = "boolean"  # true or false
    FLOAT = "float"  # a number from `low` to `high`
    CHOICE = "choice"  # one of `choices`
    COMMENT = "comment"  # words, which say nothing of quality
    DEMONSTRATION = "demonstration"  # a better answer, in words, which says nothing of quality by itself
    PREFERENCE = "preference"  # from 0, the other answer, to 1, this one


_NUMBERS = (MetricKind.BOOLEAN, MetricKind.FLOAT, MetricKind.PREFERENCE)
_WORDS = (MetricKind.COMMENT, MetricKind.DEMONSTRATION)


@dataclass(frozen=True, slots=True)
class Metric:
    """A kind of statement: its values, mapped linearly to quality, and how much it counts."""

    name: str
    kind: MetricKind = MetricKind.FLOAT
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    choices: Mapping[str, float] = field(default_factory=dict)  # of a choice: the quality that each stands for
    weight: float = 1.0  # 0: accepted, kept and shown, and no part of the reward
    corrected: bool = False  # a calibration against people's thumbs corrects it, once there are some
    weak: bool = False  # corrected, and worth nothing before that
    window_s: float | None = None  # sent later than this after the decision, it is refused; None: the router's own
    senders: frozenset[str] = frozenset()  # sources that may send it; empty: any

    @property
    def needs_calibration(self) -> bool:
        """Whether people's thumbs decide what it is worth."""
        return self.corrected or self.weak

    @property
    def affects_reward(self) -> bool:
        """Whether it says anything about quality."""
        return self.weight > 0 and self.kind not in (*_WORDS, MetricKind.PREFERENCE)

    @property
    def is_preference(self) -> bool:
        """Whether it says which of two answers is better."""
        return self.weight > 0 and self.kind is MetricKind.PREFERENCE

    def quality(self, value: float) -> float:
        """Return the quality in [0, 1] that `value` stands for."""
        share = value if self.kind is MetricKind.CHOICE else (value - self.low) / (self.high - self.low)
        return share if self.higher_is_better else 1.0 - share

    def numeric_value(self, value: bool | float | str) -> float:
        """Return the number to file for `value`. Raises InvalidFeedback for one it does not take."""
        if self.kind in _WORDS:
            if not (isinstance(value, str) and value.strip()):
                raise InvalidFeedback(f"metric {self.name!r} takes words (null retracts)")
            if len(value) > LONGEST_TEXT:
                raise InvalidFeedback(f"metric {self.name!r} takes at most {LONGEST_TEXT} characters")
            return 1.0
        if self.kind is MetricKind.CHOICE:
            if value not in self.choices or not isinstance(value, str):
                raise InvalidFeedback(f"metric {self.name!r} takes one of {', '.join(self.choices)} (null retracts)")
            return self.choices[value]
        if isinstance(value, str):
            takes = "true or false" if self.kind is MetricKind.BOOLEAN else f"{self.low:g} to {self.high:g}"
            raise InvalidFeedback(f"metric {self.name!r} takes {takes} (null retracts), got words")
        return self._in_range(value)

    def text_value(self, value: bool | float | str | None) -> str:
        """Return what of `value` is kept as words."""
        return value if isinstance(value, str) and self.kind not in _NUMBERS else ""

    def _in_range(self, value: bool | float) -> float:
        if self.kind is MetricKind.BOOLEAN and value not in (0, 1):
            raise InvalidFeedback(f"metric {self.name!r} takes true or false (null retracts), got {value!r}")
        number = float(value)
        kind_fits = self.kind is MetricKind.BOOLEAN or not isinstance(value, bool)  # true is not one star
        if not (kind_fits and math.isfinite(number) and self.low <= number <= self.high):
            raise InvalidFeedback(f"metric {self.name!r} takes {self.low:g} to {self.high:g}, got {value!r}")
        return number


def boolean_metric(
    name: str, *, weak: bool = False, weight: float = 1.0, good: bool = True, senders: str = ""
) -> Metric:
    """Return a metric that is true or false; `good` says which of them is the better."""
    return Metric(
        name, MetricKind.BOOLEAN, higher_is_better=good, weight=weight, weak=weak, senders=frozenset(senders.split())
    )


DEFAULT_METRICS: tuple[Metric, ...] = (
    boolean_metric("thumbs"),
    Metric("rating", low=1.0, high=5.0),
    Metric("quality"),
    Metric("comment", MetricKind.COMMENT),
    Metric("demonstration", MetricKind.DEMONSTRATION),
    Metric("preference", MetricKind.PREFERENCE),
    Metric("judge", corrected=True, senders=frozenset({"judge"})),
    Metric("judge_preference", MetricKind.PREFERENCE, senders=frozenset({"judge"})),
    boolean_metric("copied", weak=True, weight=0.25),
    boolean_metric("accepted", weak=True, weight=0.25),
    boolean_metric("regenerated", weak=True, weight=0.25, good=False, senders="implicit"),
    boolean_metric("rephrased", weak=True, weight=0.25, good=False, senders="implicit"),
    boolean_metric("abandoned", weak=True, weight=0.25, good=False, senders="implicit"),
    boolean_metric("tool_failure", weak=True, weight=0.25, good=False, senders="implicit tool"),
)
