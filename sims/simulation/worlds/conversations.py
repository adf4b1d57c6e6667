"""People ask on: requests are turns of conversations, whose prompts grow and which providers keep in their caches."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Indices
from highwayman.sims.simulation.conversation_turns import ConversationTurns
from highwayman.sims.simulation.scenario import SECONDS_PER_ROUND, Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_positive, check_range


@dataclass(frozen=True, slots=True)
class Conversations:
    """Requests come in conversations side by side; a conversation's topic may change, and with it the better arm.

    A topic is a task of the table. Every turn reads all that came before it in its conversation. What the arm that
    answers has read of it already, up to the turn that it answered last, costs `cached_price` of that, until its cache
    forgets. Prompts are the table's, drawn by topic; at the same mean rate as ever.
    """

    stage: ClassVar[Stage] = Stage.TRAFFIC
    turns: float = 6.0  # of a conversation, on average; geometric
    topic_change: float = 0.15  # probability from one turn to the next
    growth: float = 0.5  # dollars to read a turn again, as a share of what the turn itself costs
    cached_price: float = 0.1  # as a share of the price of what is not in the cache
    gap_s: float = 60.0  # between two turns, on average; exponential
    cache_s: float = 300.0  # until a cache forgets
    prefill_s: float = 0.0  # seconds to read a turn again

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(1.0, float("inf"), turns=self.turns)
        check_range(0.0, 1.0, topic_change=self.topic_change, cached_price=self.cached_price)
        check_range(0.0, float("inf"), growth=self.growth, prefill_s=self.prefill_s)
        check_positive(gap_s=self.gap_s, cache_s=self.cache_s)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with its rounds as turns of conversations."""
        conversation, turn, at = self._timetable(scenario.n, rng)
        scenario = scenario.reordered(self._rounds(scenario, conversation, turn, rng))
        turns = ConversationTurns(conversation, turn, self.growth, self.cached_price, self.cache_s, self.prefill_s)
        factor, more_s = turns.growths[:, None], self.prefill_s * turn[:, None]
        expected_s = scenario.expected_latency_s
        return scenario.replace(
            at=at,
            conversations=turns,
            cost_usd=scenario.cost_usd * factor,
            price_usd=scenario.price_usd * factor,
            latency_s=scenario.latency_s + more_s,
            expected_latency_s=None if expected_s is None else expected_s + more_s,
        )

    def _timetable(self, n: int, rng: np.random.Generator) -> tuple[Indices, Indices, Floats]:
        """Return conversation, turn and time of n rounds, each (n,), in the order of time."""
        lengths = rng.geometric(1.0 / self.turns, size=n)  # n conversations are more than enough
        starts = np.cumsum(rng.exponential(self.turns * SECONDS_PER_ROUND, size=n))
        conversation = np.repeat(np.arange(n), lengths)
        firsts = np.cumsum(lengths) - lengths
        turn = np.arange(len(conversation)) - firsts[conversation]
        gaps = np.where(turn == 0, 0.0, rng.exponential(self.gap_s, size=len(turn)))
        waited = np.cumsum(gaps)
        at = starts[conversation] + waited - waited[firsts][conversation]
        order = np.argsort(at, kind="stable")[:n]
        return conversation[order], turn[order], at[order] - at[order[:1]].sum()

    def _rounds(self, scenario: Scenario, conversation: Indices, turn: Indices, rng: np.random.Generator) -> Indices:
        """Return which of the scenario's rounds each turn's prompt is taken from, shape (n,)."""
        _, topics = np.unique(scenario.tasks or [""] * scenario.n, return_inverse=True)
        waiting = [np.flatnonzero(topics == topic) for topic in range(int(topics.max(initial=0)) + 1)]
        taken = [0] * len(waiting)
        topic_of: dict[int, int] = {}
        order = np.empty(scenario.n, dtype=np.intp)
        changes = (turn == 0) | (rng.random(scenario.n) < self.topic_change)
        for t, number in enumerate(conversation.tolist()):
            if changes[t]:
                topic_of[number] = int(topics[rng.integers(scenario.n)])
            topic = topic_of[number]
            order[t] = waiting[topic][taken[topic] % len(waiting[topic])]
            taken[topic] += 1
        return order
