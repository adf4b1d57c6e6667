"""Kinds of statements about answers: what values they take, and what these say about quality."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from highwayman.env.errors import InvalidFeedback

LONGEST_TEXT = 16_384  # characters of a comment, a demonstration or a choice


class Kind(StrEnum):
    """What values a metric takes."""

    BOOLEAN = "boolean"  # true or false
    FLOAT = "float"  # a number from `low` to `high`
    CHOICE = "choice"  # one of `choices`
    COMMENT = "comment"  # words, which say nothing of quality
    DEMONSTRATION = "demonstration"  # a better answer, in words, which says nothing of quality by itself
    PREFERENCE = "preference"  # from 0, the other answer, to 1, this one


_NUMBERS = (Kind.BOOLEAN, Kind.FLOAT, Kind.PREFERENCE)
_WORDS = (Kind.COMMENT, Kind.DEMONSTRATION)


@dataclass(frozen=True, slots=True)
class Metric:
    """A kind of statement: its values, mapped linearly to quality, and how much it counts."""

    name: str
    kind: Kind = Kind.FLOAT
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    choices: Mapping[str, float] = field(default_factory=dict)  # of a choice: the quality that each stands for
    weight: float = 1.0  # 0: heard, kept and shown, and no part of the reward
    corrected: bool = False  # a calibration against people's thumbs corrects it, once there are some
    weak: bool = False  # corrected, and worth nothing before that
    window_s: float | None = None  # said later than this after the decision, it is refused; None: the router's own
    senders: frozenset[str] = frozenset()  # sources that may say it; empty: any

    @property
    def calibrated(self) -> bool:
        """Whether people's thumbs say what it is worth."""
        return self.corrected or self.weak

    @property
    def counts(self) -> bool:
        """Whether it says anything about quality."""
        return self.weight > 0 and self.kind not in (*_WORDS, Kind.PREFERENCE)

    @property
    def compares(self) -> bool:
        """Whether it says which of two answers is better."""
        return self.weight > 0 and self.kind is Kind.PREFERENCE

    def quality(self, value: float) -> float:
        """Return the quality in [0, 1] that `value` stands for."""
        share = value if self.kind is Kind.CHOICE else (value - self.low) / (self.high - self.low)
        return share if self.higher_is_better else 1.0 - share

    def number(self, value: bool | float | str) -> float:
        """Return the number to file for `value`. Raises InvalidFeedback for one it does not take."""
        if self.kind in _WORDS:
            if not (isinstance(value, str) and value.strip()):
                raise InvalidFeedback(f"metric {self.name!r} takes words (null retracts)")
            if len(value) > LONGEST_TEXT:
                raise InvalidFeedback(f"metric {self.name!r} takes at most {LONGEST_TEXT} characters")
            return 1.0
        if self.kind is Kind.CHOICE:
            if value not in self.choices or not isinstance(value, str):
                raise InvalidFeedback(f"metric {self.name!r} takes one of {', '.join(self.choices)} (null retracts)")
            return self.choices[value]
        if isinstance(value, str):
            takes = "true or false" if self.kind is Kind.BOOLEAN else f"{self.low:g} to {self.high:g}"
            raise InvalidFeedback(f"metric {self.name!r} takes {takes} (null retracts), got words")
        return self._in_range(value)

    def words(self, value: bool | float | str | None) -> str:
        """Return what of `value` is kept as words."""
        return value if isinstance(value, str) and self.kind not in _NUMBERS else ""

    def _in_range(self, value: bool | float) -> float:
        if self.kind is Kind.BOOLEAN and value not in (0, 1):
            raise InvalidFeedback(f"metric {self.name!r} takes true or false (null retracts), got {value!r}")
        number = float(value)
        kind_fits = self.kind is Kind.BOOLEAN or not isinstance(value, bool)  # true is not one star
        if not (kind_fits and math.isfinite(number) and self.low <= number <= self.high):
            raise InvalidFeedback(f"metric {self.name!r} takes {self.low:g} to {self.high:g}, got {value!r}")
        return number


def boolean(name: str, *, weak: bool = False, weight: float = 1.0, good: bool = True, senders: str = "") -> Metric:
    """Return a metric that is true or false; `good` says which of them is the better."""
    return Metric(
        name, Kind.BOOLEAN, higher_is_better=good, weight=weight, weak=weak, senders=frozenset(senders.split())
    )


DEFAULT_METRICS: tuple[Metric, ...] = (
    boolean("thumbs"),
    Metric("rating", low=1.0, high=5.0),
    Metric("quality"),
    Metric("comment", Kind.COMMENT),
    Metric("demonstration", Kind.DEMONSTRATION),
    Metric("preference", Kind.PREFERENCE),
    Metric("judge", corrected=True, senders=frozenset({"judge"})),
    Metric("judge_preference", Kind.PREFERENCE, senders=frozenset({"judge"})),
    boolean("copied", weak=True, weight=0.25),
    boolean("accepted", weak=True, weight=0.25),
    boolean("regenerated", weak=True, weight=0.25, good=False, senders="implicit"),
    boolean("rephrased", weak=True, weight=0.25, good=False, senders="implicit"),
    boolean("abandoned", weak=True, weight=0.25, good=False, senders="implicit"),
    boolean("tool_failure", weak=True, weight=0.25, good=False, senders="implicit tool"),
)
