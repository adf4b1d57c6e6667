"""What calls under way and ended mean for the next decision: what is left of the budget, and who is busy."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from highwayman.env.budget import Budget, Ceilings
from highwayman.env.types import Decision, Floats, Outcome


class Spending:
    """Of one router process. Each process holds the mean per request for its own calls; so all of them together do."""

    def __init__(self, ceilings: Ceilings, clock: Callable[[], float]) -> None:
        """Take the ceilings, none of which need be set, and the clock, seconds since the epoch."""
        self._budget = Budget(ceilings)
        self._clock = clock
        self._busy: Counter[str] = Counter()
        self._expected: dict[str, tuple[str, float]] = {}  # by decision: arm intended, dollars

    def under_way(self, arm: str) -> int:
        """Return how many calls meant for the arm have not ended."""
        return self._busy[arm]

    def penalties(self, expected_usd: Floats) -> Floats:
        """Return what the budget adds to arms of expected cost (K,), in quality units."""
        return self._budget.penalties(expected_usd, at=self._clock())

    def barred(self, expected_usd: Floats) -> npt.NDArray[np.bool_]:
        """Return which arms of expected cost (K,) a hard ceiling does not allow."""
        return self._budget.barred(expected_usd, at=self._clock())

    def began(self, decision: Decision, expected_usd: float) -> None:
        """Count a call that goes out."""
        self._busy[decision.arm] += 1
        self._expected[decision.id] = decision.arm, expected_usd
        self._budget.begin(decision.id, expected_usd, at=decision.at)

    def ended(self, outcome: Outcome) -> None:
        """Charge a call that ended."""
        arm, _ = self._expected.pop(outcome.decision_id, ("", 0.0))
        self._busy[arm] -= 1
        self._budget.end(outcome.decision_id, outcome.cost_usd, at=outcome.at)
