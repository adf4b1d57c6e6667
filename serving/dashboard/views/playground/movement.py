"""What the policy in force expects of one query, and what it expected before something was said of its answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

_DEVIATIONS: Final = 2.0  # each way, that a bar has


@dataclass(frozen=True, slots=True)
class QueryBeliefs:
    """A version's beliefs of K arms' answers to one query; NaN where it says nothing."""

    version: int
    quality: Sequence[float]  # (K,), expected
    deviations: Sequence[float]  # (K,)

    def to_text(self) -> str:
        """Return them as part of an address, from which `from_text` reads them: nothing is kept for a page here."""
        pairs = zip(self.quality, self.deviations, strict=True)
        return f"{self.version}_" + "_".join(f"{quality:.5f}*{deviation:.5f}" for quality, deviation in pairs)

    @classmethod
    def from_text(cls, text: str, count: int) -> Self | None:
        """Return what `to_text` wrote of so many arms, None for anything else."""
        version, *pairs = text.split("_")
        try:
            numbers = [tuple(map(float, pair.split("*"))) for pair in pairs]
            quality, deviations = zip(*numbers, strict=True)
            return cls(int(version), quality, deviations) if len(numbers) == count else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class BeliefMovement:
    """One arm's belief now, and by how much it has moved; shares of one."""

    arm: str
    quality: float
    low: float
    high: float
    before: float | None  # None: nothing has been said since it was first shown

    @property
    def change(self) -> float | None:
        """By how much more is expected now."""
        return None if self.before is None else self.quality - self.before


def movements(arms: Sequence[str], now: QueryBeliefs, before: QueryBeliefs | None) -> list[BeliefMovement]:
    """Return each arm's belief now beside the one before, for those of whom the policy says something."""
    earlier = [None] * len(arms) if before is None else list(before.quality)
    return [
        BeliefMovement(arm, quality, max(quality - width, 0.0), min(quality + width, 1.0), was)
        for arm, quality, width, was in zip(
            arms, now.quality, (_DEVIATIONS * deviation for deviation in now.deviations), earlier, strict=True
        )
        if math.isfinite(quality) and math.isfinite(width) and (was is None or math.isfinite(was))
    ]
