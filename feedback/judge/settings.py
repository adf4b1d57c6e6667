"""How a judge is set up."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Style = Literal["digit", "json"]

DEFAULT_RUBRIC = (
    "A good answer does what the user asked, is correct, is complete without being longer than it needs to be, and "
    "keeps to the format that was asked for."
)


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What is judged, how much of it, and by which rubric."""

    rate: float = 0.05  # share of an arm's answers
    rates: Mapping[str, float] = field(default_factory=dict)  # of arms that have their own
    usd_per_day: float | None = 1.0  # days of UTC; None: as much as it takes
    timeout_s: float = 60.0  # of one call
    style: Style = "digit"  # the bare number, or JSON after a schema
    rubric: str = DEFAULT_RUBRIC
    rubrics: Mapping[str, str] = field(default_factory=dict)  # of kinds of case that have their own
    low: int = 1  # scores are whole numbers of one digit, so that each is a single token of any tokenizer
    high: int = 5
    max_chars: int = 12_000  # of the conversation (its newest part is kept), and of each answer
    on_suspect: Literal["missing", "judge"] = "missing"  # what becomes of an answer that speaks to its judge
    at_once: int = 2  # calls side by side
    most_waiting: int = 100  # cases that wait for one; what comes beyond is not judged
    extra_body: Mapping[str, Any] = field(default_factory=dict)  # for the judge's server, such as to think less

    def __post_init__(self) -> None:
        """Raise ValueError for settings that make no sense."""
        for name, rate in {"rate": self.rate, **self.rates}.items():
            if not 0.0 <= rate <= 1.0:
                raise ValueError(f"a rate lies in [0, 1], got {name} {rate!r}")
        if not 0 <= self.low < self.high <= 9:
            raise ValueError(f"a scale goes from low to high, 0 <= low < high <= 9, got {self.low} to {self.high}")
        if self.usd_per_day is not None and not 0.0 <= self.usd_per_day < math.inf:
            raise ValueError(f"usd_per_day must be >= 0, or None for no ceiling, got {self.usd_per_day!r}")
        if not 0.0 < self.timeout_s < math.inf:
            raise ValueError(f"timeout_s must be > 0, got {self.timeout_s!r}")
        if min(self.max_chars, self.at_once) < 1 or self.most_waiting < 0:
            raise ValueError("max_chars and at_once must be >= 1, most_waiting >= 0")

    @property
    def scores(self) -> tuple[int, ...]:
        """The scores there are, from the worst."""
        return tuple(range(self.low, self.high + 1))

    def quality(self, score: float) -> float:
        """Return the quality in [0, 1] that a score stands for."""
        return min(max((score - self.low) / (self.high - self.low), 0.0), 1.0)

    def rubric_for(self, kind: str) -> str:
        """Return the rubric of a kind of case."""
        return self.rubrics.get(kind, self.rubric)
