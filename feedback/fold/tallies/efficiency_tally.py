"""What routed answers took and were worth, by tenant, policy and arm: sums over the log, from which scores follow."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

from highwayman.env.types import Decision, Mode, Outcome, Status
from highwayman.feedback.fold.join import AttributedReward

_ROUTED = frozenset({Mode.ROUTE, Mode.CASCADE, Mode.STICKY})

Group = tuple[str, str, str]  # tenant, policy, arm that served


@dataclass(slots=True)
class EfficiencySums:
    """Of one group; what was added can be taken away again."""

    calls: int = 0  # that were answered
    latency_s: float = 0.0
    priced: int = 0  # of the calls
    cost_usd: float = 0.0
    metered: int = 0  # of the calls: those whose energy is known
    wh: float = 0.0
    weight: float = 0.0  # of rewards
    weighted: float = 0.0  # times quality

    def plus(self, other: "EfficiencySums", sign: int = 1) -> "EfficiencySums":
        """Return the sums of both, or without the other's."""
        return EfficiencySums(
            self.calls + sign * other.calls,
            self.latency_s + sign * other.latency_s,
            self.priced + sign * other.priced,
            self.cost_usd + sign * other.cost_usd,
            self.metered + sign * other.metered,
            self.wh + sign * other.wh,
            self.weight + sign * other.weight,
            self.weighted + sign * other.weighted,
        )


class EfficiencyTally:
    """The sums of all groups, as a fold over the log."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._groups: defaultdict[Group, EfficiencySums] = defaultdict(EfficiencySums)

    @property
    def groups(self) -> Mapping[Group, EfficiencySums]:
        """The sums by tenant, policy and arm."""
        return self._groups

    def on_answer(self, decision: Decision, outcome: Outcome, *, sign: int = 1) -> None:
        """Add an answer, once its decision and its outcome are known; with `sign` -1 take it away."""
        if decision.mode not in _ROUTED or outcome.status is not Status.OK:
            return
        own = self._groups[decision.tenant, decision.policy, outcome.arm]
        own.calls += sign
        own.latency_s += sign * outcome.latency_s
        if outcome.cost_usd is not None:
            own.priced += sign
            own.cost_usd += sign * outcome.cost_usd
        if outcome.wh is not None:
            own.metered += sign
            own.wh += sign * outcome.wh

    def on_reward(self, decision: Decision, before: AttributedReward | None, after: AttributedReward | None) -> None:
        """Take what was said of an answer away, and add what is said of it now."""
        if decision.mode not in _ROUTED:
            return
        for credit, sign in ((before, -1), (after, 1)):
            if credit is not None and credit.reward.weight > 0:
                own = self._groups[decision.tenant, decision.policy, credit.arm]
                own.weight += sign * credit.reward.weight
                own.weighted += sign * credit.reward.weight * credit.reward.quality

    def distance(self, other: "EfficiencyTally") -> float:
        """Return the largest difference of two sums."""
        nothing = EfficiencySums()
        pairs = (
            (self._groups.get(group, nothing), other._groups.get(group, nothing))
            for group in self._groups.keys() | other._groups.keys()
        )
        return max((abs(gap) for own, its in pairs for gap in astuple(own.plus(its, -1))), default=0.0)

    def to_json(self) -> list[list[str | float]]:
        """Return a row for each group."""
        return [[*group, *astuple(sums)] for group, sums in self._groups.items()]

    @classmethod
    def from_json(cls, rows: Iterable[list[str | float]]) -> "EfficiencyTally":
        """Return what `to_json` wrote. Raises LookupError, TypeError or ValueError where it is damaged."""
        tally = cls()
        for tenant, policy, arm, *numbers in rows:
            calls, latency_s, priced, cost_usd, metered, wh, weight, weighted = map(float, numbers)
            tally._groups[str(tenant), str(policy), str(arm)] = EfficiencySums(
                int(calls), latency_s, int(priced), cost_usd, int(metered), wh, weight, weighted
            )
        return tally
