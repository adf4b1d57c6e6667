"""The arms that may answer a request, and which of them limits, a budget and failures leave, at what penalty."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from highwayman.bandit.policy import Policy, PredictsQuality
from highwayman.env.errors import BudgetExhausted, NoEligibleArm
from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import Context, Floats

Bools = npt.NDArray[np.bool_]


@quick_dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The K arms that may answer, in order, and what a call to each is expected to cost; arrays are (K,)."""

    arms: tuple[str, ...]
    usd: Floats  # expected dollars of a call; NaN: the arm has no price
    penalties: Floats  # in quality units, by the objective: cost, latency, energy
    # What each arm on probation has cost so far, None for the others; None altogether: no arm is on probation.
    probation_usd: Sequence[float | None] | None = None
    chances: Floats | None = None  # (K,) in (0, 1], of each arm to answer at all; None: penalties have them, or all do
    # (K,) what it is worth to be able to go on from each arm's answer, already taken off its penalty; None: nothing.
    options: Floats | None = None
    # (K,) dollars that no call to each arm can cost more than; NaN: nobody can tell. None: of no arm.
    most_usd: Floats | None = None

    def where(self, kept: Bools) -> "Candidates":
        """Return the candidates that `kept` (K,) is true of."""
        if kept.all():
            return self
        places, spent_usd = np.flatnonzero(kept).tolist(), self.probation_usd
        return Candidates(
            tuple(self.arms[k] for k in places),
            self.usd[places],
            self.penalties[places],
            None if spent_usd is None else [spent_usd[k] for k in places],
            None if self.chances is None else self.chances[places],
            None if self.options is None else self.options[places],
            None if self.most_usd is None else self.most_usd[places],
        )


class BudgetRule(Protocol):
    """What a budget says of arms by what a call to each is expected to cost: (K,) dollars, NaN without a price."""

    def penalties(self, expected_usd: Floats) -> Floats:
        """Return what the arms carry for the budget's sake, shape (K,), in quality units."""

    def over_budget(self, expected_usd: Floats, most_usd: Floats | None = None) -> Bools:
        """Return which arms may not be called now, shape (K,).

        `most_usd` is what a call to each can cost at most, (K,), NaN where nobody can tell; None: of no arm.
        """


class RequestLimits(Protocol):
    """What a caller asks for beyond penalties, as an `Objective` has it."""

    @property
    def max_usd(self) -> float | None:
        """Dollars that a call may be expected to cost at most; None: whatever it costs."""

    @property
    def min_quality(self) -> float | None:
        """Expected quality in [0, 1] that an arm must reach, if any does; None: whatever it is."""

    @property
    def explore(self) -> bool:
        """Whether arms may be tried that look worse."""


def within_max_usd(candidates: Candidates, max_usd: float) -> Candidates:
    """Return the arms expected to cost at most that; one without a price is not known to. Raises NoEligibleArm."""
    kept = candidates.usd <= max_usd  # False where NaN
    if not kept.any():
        prices = zip(candidates.arms, candidates.usd.tolist(), strict=True)
        each = "; ".join(f"{arm} {'has no price' if np.isnan(usd) else f'about ${usd:.2g}'}" for arm, usd in prices)
        raise NoEligibleArm(f"No arm may answer for at most ${max_usd:.2g}: {each}.")
    return candidates.where(kept)


def within_budget(candidates: Candidates, budget: BudgetRule) -> Candidates:
    """Return the arms that the budget does not bar. Raises BudgetExhausted where it bars all of them."""
    barred = budget.over_budget(candidates.usd, candidates.most_usd)
    if barred.all():
        raise BudgetExhausted("The budget allows no arm for this request now; a day's budget begins anew at 0:00 UTC.")
    return candidates.where(~barred)


def with_failures(candidates: Candidates, policy: Policy, context: Context) -> Candidates:
    """Return the candidates with penalties by which the quality of each counts times its chance to answer at all.

    Of a policy that does not say which quality it expects, the best there is counts.
    """
    chances = candidates.chances
    if chances is None or chances.min() >= 1.0:
        return candidates
    expected: Floats = np.ones(len(chances))
    if isinstance(policy, PredictsQuality):
        expected = np.clip(policy.expected_quality(context, candidates.arms), 0.0, 1.0)
    return replace(candidates, penalties=candidates.penalties + (1.0 - chances) * expected, chances=None)


def meeting_min_quality(candidates: Candidates, policy: Policy, context: Context, min_quality: float) -> Candidates:
    """Return the arms from which such a quality is expected, the best one if there is none.

    All of them, where the policy does not say what it expects.
    """
    if not isinstance(policy, PredictsQuality):
        return candidates
    expected = policy.expected_quality(context, candidates.arms)
    if candidates.chances is not None:
        expected = expected * candidates.chances
    good = expected >= min_quality
    if not good.any():
        good[int(expected.argmax())] = True
    return candidates.where(good)
