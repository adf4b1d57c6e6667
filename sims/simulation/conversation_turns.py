"""Which rounds of a scenario are turns of one conversation, and what a turn reads that an earlier one has read."""

from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Indices


@dataclass(frozen=True, slots=True, eq=False)
class ConversationTurns:
    """Of n rounds: every turn reads again what all turns before it asked and answered."""

    conversation: Indices  # (n,) its number
    turn: Indices  # (n,) 0 for the first of a conversation
    growth: float  # dollars to read a turn again, as a share of what the turn itself costs
    cached_price: float  # of tokens that a cache holds, as a share of the price of others
    cache_s: float  # seconds from an arm's last answer in a conversation until its cache has forgotten it
    prefill_s: float = 0.0  # seconds to read a turn again

    @property
    def growths(self) -> Floats:
        """What each call costs without caches, in calls that stand at a conversation's beginning, shape (n,)."""
        return np.asarray(1.0 + self.growth * self.turn, dtype=np.float64)

    def saved_share(self, t: int, turns: int) -> float:
        """Return which share of round t's dollars is saved where a cache holds so many turns of its conversation."""
        cached = self.growth * turns / (1.0 + self.growth * int(self.turn[t]))
        return (1.0 - self.cached_price) * cached
