"""Of a run under way: calls that have not ended, what ended ones cost, and what they teach of calls to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import isnan, nan

from highwayman.bandit.candidates import Bools
from highwayman.bandit.regression.amount_posterior import AmountPosterior
from highwayman.env.cost.pacer import Pacer
from highwayman.env.types import Context, Floats
from highwayman.sims.simulation.scenario import Scenario


class CallAccount:
    """Calls under way, and what ended ones have taken: what a router's spend tracker and tally keep account of."""

    def __init__(self, scenario: Scenario, contexts: Sequence[Context], amounts: AmountPosterior | None) -> None:
        self._scenario, self._contexts, self._amounts = scenario, contexts, amounts
        # A heap: when it ends, round, action, metered dollars, expected dollars, those it can cost at most.
        self._running: list[tuple[float, int, int, float, float, float]] = []
        self._ended: list[tuple[int, int]] = []  # round and action, not learned from yet
        self._metered_usd = [0.0] * len(scenario.arms)
        self._promised_usd = [0.0] * len(scenario.arms)

    def begin(self, t: int, action: int, *, saved_usd: float, expected_usd: float, most_usd: float = nan) -> None:
        """Put round t's call among those under way; NaN dollars: nobody knows."""
        scenario = self._scenario
        latency_s, cost = float(scenario.latency_s[t, action]), float(scenario.cost_usd[t, action]) - saved_usd
        ends_at = float(scenario.at[t]) + (0.0 if isnan(latency_s) else latency_s)
        self._promised_usd[action] += 0.0 if isnan(expected_usd) else expected_usd
        heappush(self._running, (ends_at, t, action, 0.0 if isnan(cost) else cost, expected_usd, most_usd))

    def end_by(self, at: float, pacer: Pacer | None) -> None:
        """Charge the calls that have ended by then, in the order in which they did."""
        while self._running and self._running[0][0] <= at:
            _, t, action, cost, expected, _ = heappop(self._running)
            self._ended.append((t, action))
            self._metered_usd[action] += cost
            self._promised_usd[action] -= 0.0 if isnan(expected) else expected
            if pacer is not None:
                pacer.charge(cost, expected)

    def under_way_usd(self) -> list[float]:
        """Return what each call under way that has a price may still cost: at most, where that is known."""
        may_cost = [expected if isnan(most) else most for *_, expected, most in self._running]
        return [usd for usd in may_cost if not isnan(usd)]

    def teach(self) -> None:
        """Learn what ended calls took over what the price list says, whatever a prompt cache saved of it."""
        ended, self._ended = self._ended, []
        if self._amounts is None:
            return
        scenario = self._scenario
        listed = scenario.price_usd, scenario.expected_latency_s
        for t, action in ended:
            ratios = [
                nan
                if expected is None or not expected[t, action] > 0
                else float(taken[t, action] / expected[t, action])
                for taken, expected in zip((scenario.cost_usd, scenario.latency_s), listed, strict=True)
            ]
            self._amounts.learn(scenario.arms[action], self._contexts[t].features, ratios)

    def spent_usd(self, arm: str) -> float:
        """Return what an arm has cost so far; calls under way as expected."""
        action = self._scenario.arms.index(arm)
        return self._metered_usd[action] + self._promised_usd[action]


@dataclass(frozen=True, slots=True)
class WindowRule:
    """What a pacer says of arms, with the calls under way that it has not been charged for."""

    pacer: Pacer
    calls: CallAccount

    def penalties(self, expected_usd: Floats) -> Floats:
        """Return what arms of expected cost (K,) carry, in quality units."""
        return self.pacer.penalties(expected_usd)

    def over_budget(self, expected_usd: Floats, most_usd: Floats | None = None) -> Bools:
        """Return which arms of expected cost (K,), at most `most_usd` (NaN: unknown), the window has no room for."""
        return self.pacer.over_budget(expected_usd, most_usd, under_way=self.calls.under_way_usd())
