"""What routed answers took and were worth, by tenant, policy and arm: sums over the log, from which scores follow."""

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
        self._groups: dict[Group, EfficiencySums] = {}

    @property
    def groups(self) -> Mapping[Group, EfficiencySums]:
        """The sums by tenant, policy and arm."""
        return self._groups

    def on_answer(self, decision: Decision, outcome: Outcome, *, sign: int = 1) -> None:
        """Add an answer, once its decision and its outcome are known; with `sign` -1 take it away."""
        if decision.mode not in _ROUTED or outcome.status is not Status.OK:
            return
        usd, wh = outcome.cost_usd, outcome.wh
        answer = EfficiencySums(1, outcome.latency_s, usd is not None, usd or 0.0, wh is not None, wh or 0.0)
        self._add((decision.tenant, decision.policy, outcome.arm), answer, sign)

    def on_reward(self, decision: Decision, before: AttributedReward | None, after: AttributedReward | None) -> None:
        """Take what was said of an answer away, and add what is said of it now."""
        if decision.mode not in _ROUTED or before == after:
            return
        for credit, sign in ((before, -1), (after, 1)):
            if credit is not None and credit.reward.weight > 0:
                rated = EfficiencySums(
                    weight=credit.reward.weight, weighted=credit.reward.weight * credit.reward.quality
                )
                self._add((decision.tenant, decision.policy, credit.arm), rated, sign)

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

    def _add(self, group: Group, sums: EfficiencySums, sign: int) -> None:
        self._groups[group] = self._groups.get(group, EfficiencySums()).plus(sums, sign)
