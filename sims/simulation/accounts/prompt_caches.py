"""What arms' servers have read of conversations: what that saves the next call, and what a router believes it does."""

from dataclasses import dataclass
from math import isnan

import numpy as np

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import UsageEstimates
from highwayman.env.cost.switching import CacheSaving, saving_in_quality, switch_penalties
from highwayman.env.cost.usage import UsageEstimate
from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Indices
from highwayman.sims.simulation.conversation_turns import ConversationTurns
from highwayman.sims.simulation.scenario import Scenario


@dataclass(frozen=True, slots=True)
class _Read:
    """What an arm has read of a conversation."""

    turns: int  # from its beginning, the answer among them
    at: float


class PromptCaches:
    """Of one run on a scenario with conversations: each arm keeps what it saw last in each of them, for a time."""

    def __init__(self, scenario: Scenario, turns: ConversationTurns) -> None:
        """Begin with nothing read."""
        self._scenario = scenario
        self._turns = turns
        self._read: dict[tuple[int, int], _Read] = {}  # by conversation and arm
        self._holders: dict[int, int] = {}  # by conversation: who answered last

    def holder(self, t: int) -> int | None:
        """Return the arm that answered the turn before round t, None at a conversation's beginning."""
        return self._holders.get(int(self._turns.conversation[t]))

    def switch_penalties(self, t: int, columns: Indices, objective: Objective, *, served_turns: float) -> Floats:
        """Return what the arms at `columns` (K,) carry in round t for a switch, as a router prices it, shape (K,).

        It believes that the holder still has all that it read, and counts by what the price list says.
        """
        holder = self.holder(t)
        if holder is None:
            return np.zeros(len(columns))
        arms, read = self._scenario.arms, self._read[int(self._turns.conversation[t]), holder]
        return switch_penalties(
            [arms[k] for k in columns],
            self._estimates(t),
            objective,
            holder=arms[holder],
            savings={arms[k]: self._saving(t, k, turns=read.turns) for k in columns.tolist()},
            turns=served_turns,
        )

    def saved_share(self, t: int, arm: int) -> float:
        """Return which share of round t's dollars an arm's cache truly saves."""
        return self._turns.saved_share(t, self._cached_turns(t, arm))

    def savings(self, t: int, objective: Objective) -> Floats:
        """Return by how much each arm's cache truly lowers its penalty in round t, shape (K,), in quality units."""
        saved = np.zeros(len(self._scenario.arms))
        for k, arm in enumerate(self._scenario.arms):
            turns = self._cached_turns(t, k)
            if turns and self._scenario.available[t, k]:
                saved[k] = saving_in_quality(arm, self._saving(t, k, turns=turns), self._estimates(t), objective)
        return saved

    def on_answer(self, t: int, arm: int) -> None:
        """Note that an arm answered round t."""
        conversation = int(self._turns.conversation[t])
        self._read[conversation, arm] = _Read(int(self._turns.turn[t]) + 1, float(self._scenario.at[t]))
        self._holders[conversation] = arm

    def _cached_turns(self, t: int, arm: int) -> int:
        read = self._read.get((int(self._turns.conversation[t]), arm))
        if read is None or self._scenario.at[t] - read.at > self._turns.cache_s:
            return 0
        return read.turns

    def _saving(self, t: int, arm: int, *, turns: int) -> CacheSaving:
        usd = float(self._scenario.price_usd[t, arm])
        saved_usd = 0.0 if isnan(usd) else usd * self._turns.saved_share(t, turns)
        return CacheSaving(saved_usd, self._turns.prefill_s * turns)

    def _estimates(self, t: int) -> UsageEstimates:
        scenario = self._scenario
        latencies = scenario.expected_latency_s
        return {
            arm: UsageEstimate(_known(scenario.price_usd[t, k]), None if latencies is None else _known(latencies[t, k]))
            for k, arm in enumerate(scenario.arms)
            if scenario.available[t, k]
        }


def cached_amounts(
    scenario: Scenario, turns: ConversationTurns, objective: Objective, actions: Indices
) -> tuple[Floats, Floats]:
    """Return what choices (n,) that were made come to with the caches that they left behind.

    Returns:
        By how much each arm's penalty is less in each round, (n, K), in quality units; and the dollars that each round
        saved, (n,).
    """
    caches, penalties, saved_usd = PromptCaches(scenario, turns), np.zeros(scenario.quality.shape), np.zeros(scenario.n)
    for t, action in enumerate(actions.tolist()):
        penalties[t] = caches.savings(t, objective)
        saved_usd[t] = caches.saved_share(t, action) * scenario.cost_usd[t, action]
        caches.on_answer(t, action)
    return penalties, saved_usd


def _known(amount: float) -> float | None:
    return None if isnan(amount) else float(amount)
