"""A share of the traffic for arms on trial, until they have cost what a trial may."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats


@dataclass(frozen=True, slots=True)
class ProbationQuota:
    """What arms on trial get whatever the policy thinks of them: a share of the requests, drawn, never in a row."""

    share: float = 0.02  # of the requests that an arm on trial may answer; several share it evenly
    max_usd: float | None = 10.0  # an arm that has cost this much has only what the policy gives it; None: no end

    def __post_init__(self) -> None:
        """Raise ValueError for a share outside [0, 1) or a cap that is no number >= 0."""
        if not 0.0 <= self.share < 1.0:
            raise ValueError(f"share must be in [0, 1), got {self.share!r}")
        if self.max_usd is not None and not (math.isfinite(self.max_usd) and self.max_usd >= 0):
            raise ValueError(f"max_usd must be a number >= 0 or None, got {self.max_usd!r}")

    def minimums(self, spent_usd: Sequence[float | None]) -> Floats:
        """Return the least probability of each eligible arm, shape (K,).

        `spent_usd` (K,) is what each arm on trial has cost, None for the others.
        """
        running = np.array([usd is not None and (self.max_usd is None or usd < self.max_usd) for usd in spent_usd])
        return running * (self.share / max(int(running.sum()), 1))


def with_minimums(probs: Floats, minimums: Floats) -> Floats:
    """Return `probs` (K,) with arm k at quotas[k] or above, shape (K,), summing to what it did.

    What arms lack is taken from the others in proportion to what they have above their own quota: of all distributions
    that keep the quotas, none takes a smaller share of what an arm has beyond its quota from any one of them.
    """
    lacking = float(np.maximum(minimums - probs, 0.0).sum())
    if lacking <= 0.0:
        return probs
    beyond = np.maximum(probs - minimums, 0.0)
    kept = max(1.0 - lacking / float(beyond.sum()), 0.0)
    return np.maximum(minimums, 0.0) + beyond * kept
