"""What the control slice tells, as sums over the log: by tenant, of dollars, of quality, and of every constant arm."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from highwayman.env.types import Decision, Mode, Outcome
from highwayman.feedback.fold.join import AttributedReward
from highwayman.feedback.fold.tallies.arm_contrast import ContrastSums

JUDGE = "judge"  # the objective of decisions that stand for a judge's calls
_REALS = ("since", "until", "judge_usd", "shadow_usd")
_ENOUGH = 20.0  # rated answers' worth of an arm, before it may be called the best constant one


@dataclass(slots=True)
class ConstantArm:
    """What an arm would have earned had it answered everything: sums of importance-weighted rewards minus penalties."""

    weight: float = 0.0
    weighted: float = 0.0
    squared: float = 0.0

    def add(self, weight: float, utility: float, sign: int) -> None:
        """Add an answer's utility, or take it away."""
        self.weight += sign * weight
        self.weighted += sign * weight * utility
        self.squared += sign * weight * weight

    @property
    def effective(self) -> float:
        """How many answers, all alike probable, would tell as much."""
        return self.weight**2 / self.squared if self.squared > 0 else 0.0


@dataclass(slots=True)
class TenantControl:
    """One tenant's sums."""

    cost: ContrastSums = field(default_factory=ContrastSums)  # dollars of requests that the slice might have drawn
    quality: ContrastSums = field(default_factory=ContrastSums)  # of those that were rated
    drawn: int = 0  # by the slice
    unpriced: int = 0  # requests answered by an arm without a price: in no sum of dollars
    since: float = 0.0  # when the first was decided, seconds since the epoch; 0: none was
    until: float = 0.0  # when the last was
    judge_usd: float = 0.0  # since then
    shadow_usd: float = 0.0
    constants: defaultdict[str, ConstantArm] = field(default_factory=lambda: defaultdict(ConstantArm))  # by arm

    def best_constant(self, arms: Iterable[str]) -> str | None:
        """Return which of the arms would have earned the most, None while too little was said of all of them."""
        known = {
            arm: self.constants[arm].weighted / self.constants[arm].weight
            for arm in arms
            if arm in self.constants and self.constants[arm].effective >= _ENOUGH
        }
        return max(known, key=known.__getitem__) if known else None


class ControlTally:
    """Every tenant's sums, as a fold over the log, whatever the order of its events (but that dollars
    of judges count from the first request of a slice that was met)."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._tenants: defaultdict[str, TenantControl] = defaultdict(TenantControl)

    @property
    def tenants(self) -> Mapping[str, TenantControl]:
        """The tenants of whom anything is known."""
        return self._tenants

    def of(self, tenant: str) -> TenantControl:
        """Return a tenant's sums, to be read, not changed; those of nothing for one not met."""
        return self._tenants.get(tenant) or TenantControl()

    def on_answer(self, decision: Decision, outcome: Outcome, *, sign: int = 1) -> None:
        """Add what a call cost, once decision and outcome are known; with `sign` -1 take it away.

        The times at which the slice began and was last seen stay.
        """
        draw, usd = decision.context.control, outcome.cost_usd or 0.0
        if draw is None:
            self._on_internal_call(decision, sign * usd)
            return
        own = self._own(decision.tenant)
        own.drawn += sign * draw.is_control
        own.since = min(own.since or decision.at, decision.at)
        own.until = max(own.until, decision.at)
        if outcome.cost_usd is None and outcome.tokens_in + outcome.tokens_out:
            own.unpriced += sign
            return
        own.cost.add(draw, decision.propensity, usd, weight=sign)

    def on_reward(self, decision: Decision, before: AttributedReward | None, after: AttributedReward | None) -> None:
        """Take what was said of an answer away, and add what is said of it now."""
        if decision.mode not in (Mode.ROUTE, Mode.CASCADE):
            return
        draw = decision.context.control
        for credit, sign in ((before, -1), (after, 1)):
            if credit is None or credit.reward.weight <= 0:
                continue
            reward = credit.reward
            if draw is not None:
                self._own(decision.tenant).quality.add(
                    draw, decision.propensity, reward.quality, weight=sign * reward.weight
                )
            # After a failover the answer says nothing of either; where a cascade keeps it, it is one that looked good.
            if credit.arm == decision.arm and decision.mode is Mode.ROUTE:
                utility = reward.quality - float(decision.penalties[decision.action])
                constant = self._own(decision.tenant).constants[decision.arm]
                constant.add(reward.weight / decision.propensity, utility, sign)

    def distance(self, other: "ControlTally") -> float:
        """Return the largest difference of two sums, in shares of the larger one where that is above 1.

        Of what is not taken away with an erased request, the times, there is no difference.
        """
        pairs = (
            pair
            for tenant in self._tenants.keys() | other._tenants.keys()
            for pair in zip(
                _sums_of(self.of(tenant), other.of(tenant)), _sums_of(other.of(tenant), self.of(tenant)), strict=True
            )
        )
        return max((abs(a - b) / max(abs(a), abs(b), 1.0) for a, b in pairs), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the sums by tenant, as JSON has them."""
        return {
            tenant: {
                "cost": own.cost.to_json(),
                "quality": own.quality.to_json(),
                **{name: getattr(own, name) for name in ("drawn", "unpriced", *_REALS)},
                "constants": {arm: [sums.weight, sums.weighted, sums.squared] for arm, sums in own.constants.items()},
            }
            for tenant, own in self._tenants.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ControlTally":
        """Return what `to_json` wrote. Raises LookupError, TypeError or ValueError where it is damaged."""
        tally = cls()
        for tenant, own in values.items():
            tally._tenants[tenant] = TenantControl(
                ContrastSums.from_json(own["cost"]),
                ContrastSums.from_json(own["quality"]),
                drawn=int(own["drawn"]),
                unpriced=int(own["unpriced"]),
                **{name: float(own[name]) for name in _REALS},
                constants=defaultdict(
                    ConstantArm, {arm: ConstantArm(*map(float, sums)) for arm, sums in own["constants"].items()}
                ),
            )
        return tally

    def _own(self, tenant: str) -> TenantControl:
        return self._tenants[tenant]

    def _on_internal_call(self, decision: Decision, usd: float) -> None:
        """Count what a judge's or a shadow call cost, once there is a slice to compare with."""
        own = self._tenants.get(decision.tenant)
        if own is None or not own.since or not usd or decision.at < own.since:
            return
        if decision.mode is Mode.SHADOW:
            own.shadow_usd += usd
        elif decision.mode is Mode.FORCED and decision.objective == JUDGE:
            own.judge_usd += usd


def _sums_of(own: TenantControl, other: TenantControl) -> list[float]:
    """Return a tenant's sums, with those of every constant arm that it or another knows, by name."""
    arms = sorted(own.constants.keys() | other.constants.keys())
    constants = [own.constants.get(arm) or ConstantArm() for arm in arms]
    return [
        *own.cost.sums,
        *own.quality.sums,
        own.drawn,
        own.unpriced,
        own.judge_usd,
        own.shadow_usd,
        *(number for sums in constants for number in (sums.weight, sums.weighted, sums.squared)),
    ]
