"""Discounts on the feedback from before an arm changed: how little of it still counts."""

import math
from collections.abc import Mapping
from typing import Any

from highwayman.env.types import RewardChange


class ArmDiscounts:
    """By arm: the rounds decided before some time count for a share of what they did."""

    def __init__(self) -> None:
        """Start without any."""
        self._found: dict[str, list[tuple[float, float]]] = {}  # before (seconds since the epoch), share
        self._newest: dict[str, float] = {}  # when the latest round seen was decided

    def __len__(self) -> int:
        """Return how many arms are discounted."""
        return len(self._found)

    def add(self, arm: str, share: float) -> None:
        """Let every round of an arm decided up to the latest one seen count for a share.

        Raises:
            ValueError: the share is not in (0, 1].
        """
        if not 0.0 < share <= 1.0:
            raise ValueError(f"share must be in (0, 1], got {share!r}")
        before = math.nextafter(self._newest.get(arm, 0.0), math.inf)
        self._found.setdefault(arm, []).append((before, float(share)))

    def factor(self, change: RewardChange) -> float:
        """Return what a change's round counts for, 1 if its time is unknown; the round has been seen then."""
        return self.share(change.arm, change.at)

    def share(self, arm: str, at: float) -> float:
        """Return the same for a round of an arm decided at `at`, seconds since the epoch; 0: unknown."""
        factor = 1.0
        if at:
            for before, share in self._found.get(arm, ()):
                if at < before:
                    factor *= share
            if at > self._newest.get(arm, 0.0):
                self._newest[arm] = at
        return factor

    def state(self) -> dict[str, Any]:
        """Return them as JSON can hold them."""
        return {"found": self._found, "newest": self._newest}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned. Raises ValueError if it cannot be."""
        try:
            discounts = {str(arm): [(float(before), float(share)) for before, share in pairs]
                         for arm, pairs in state["found"].items()}  # fmt: skip
            newest = {str(arm): float(at) for arm, at in state["newest"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no doubts: {error}") from None
        if not all(0.0 < share <= 1.0 for pairs in discounts.values() for _, share in pairs):
            raise ValueError("no doubts: a share is not in (0, 1]")
        if not all(
            map(math.isfinite, (*newest.values(), *(before for pairs in discounts.values() for before, _ in pairs)))
        ):
            raise ValueError("no doubts: a time is not finite")
        self._found, self._newest = discounts, newest
