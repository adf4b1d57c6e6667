"""Reversible sums from which the means under a baseline and under the policy follow, and how far they are known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from highwayman.env.types import ControlDraw, Floats

_SUMS = 15


@dataclass(frozen=True, slots=True)
class BaselineContrast:
    """The self-normalised means of a value under the baseline and under the policy, over n decisions."""

    n: int
    drawn: int  # of them by the slice
    effective: float  # decisions of the baseline alone that would tell as much of it
    baseline: float  # mean, of what would have been had the baseline decided
    policy: float  # mean, had the policy decided alone
    stderr: float  # of baseline - policy
    deviation: float  # of one value from the baseline's mean, typically, where decisions weigh most


_Number = TypeVar("_Number", float, Floats)


def contrast_terms(drawn: _Number, u: _Number, v: _Number, y: _Number) -> tuple[_Number, ...]:
    """Return what one decision adds to each sum but the first, which counts them; or n decisions, each (n,).

    Args:
        drawn: 1 where the slice drew it, 0 elsewhere.
        u: the baseline's probability of the arm drawn by the probability with which it was drawn.
        v: likewise the policy's.
        y: what came of it, in dollars or in quality.
    """
    uu, uv, vv, yy = u * u, u * v, v * v, y * y
    return drawn, u, v, u * y, v * y, uu, uu * y, uu * yy, uv, uv * y, uv * yy, vv, vv * y, vv * yy


def contrast(sums: Sequence[float]) -> BaselineContrast | None:
    """Return the means that 15 sums of `contrast_terms` come to, None where nothing is known of one of them.

    Self-normalised importance sampling (Swaminathan & Joachims, "The Self-Normalized Estimator for Counterfactual
    Learning", NeurIPS 2015) of both with the same draws; the standard error is of the difference of their influence
    functions. Every decision says something of both: one of the policy's that took the baseline's arm weighs as much
    as that arm was improbable, so the baseline is known better than from the slice alone.
    """
    n, drawn, u, v, uy, vy, uu, uuy, uuyy, uv, uvy, uvyy, vv, vvy, vvyy = sums
    if n < 1 or u <= 0 or v <= 0 or uu <= 0:
        return None
    baseline, policy = uy / u, vy / v
    of_baseline = uuyy - 2 * baseline * uuy + baseline**2 * uu
    of_policy = vvyy - 2 * policy * vvy + policy**2 * vv
    of_both = uvyy - (baseline + policy) * uvy + baseline * policy * uv
    variance = of_baseline / u**2 - 2 * of_both / (u * v) + of_policy / v**2
    return BaselineContrast(
        round(n),
        round(drawn),
        u * u / uu,
        baseline,
        policy,
        math.sqrt(max(variance, 0.0)),
        math.sqrt(max(of_baseline / uu, 0.0)),
    )


@dataclass(slots=True)
class ContrastSums:
    """Sums over decisions that a control slice might have drawn; what was added can be taken away again."""

    sums: list[float] = field(default_factory=lambda: [0.0] * _SUMS)

    def add(self, draw: ControlDraw, propensity: float, value: float, *, weight: float = 1.0) -> None:
        """Add a decision's value; a negative weight takes away what the same one with a positive weight added.

        Args:
            draw: how the slice took part.
            propensity: with which the arm was drawn, by either.
            value: what came of it.
            weight: how much it counts, beside others.
        """
        ratio = draw.baseline_prob / propensity
        policy_ratio = max(1.0 - draw.share * ratio, 0.0) / (1.0 - draw.share)
        sign, size = math.copysign(1.0, weight), abs(weight)
        terms = contrast_terms(float(draw.is_control), size * ratio, size * policy_ratio, value)
        self.sums[0] += sign
        for place, term in enumerate(terms, start=1):
            self.sums[place] += sign * term

    def contrast(self) -> BaselineContrast | None:
        """Return what the sums come to."""
        return contrast(self.sums)

    def to_json(self) -> list[float]:
        """Return the sums."""
        return list(self.sums)

    @classmethod
    def from_json(cls, numbers: Sequence[float]) -> "ContrastSums":
        """Return what `to_json` wrote. Raises ValueError or TypeError where it is damaged."""
        sums = [float(number) for number in numbers]
        if len(sums) != _SUMS or not all(map(math.isfinite, sums)):
            raise ValueError(f"a contrast has {_SUMS} finite sums, got {numbers!r}")
        return cls(sums)
