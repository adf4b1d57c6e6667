"""Feedback that has been given in a simulation, and has not come yet."""

from collections.abc import Sequence
from heapq import heappop, heappush
from math import isnan

from highwayman.env.types import Context, RewardChange
from highwayman.sims.simulation.scenario import Scenario


class FeedbackQueue:
    """Holds the feedback on answers until it comes, and gives it out in the order in which it does."""

    def __init__(self, scenario: Scenario, contexts: Sequence[Context], at: Sequence[float]) -> None:
        """Take the n rounds' scenario, contexts, and times in seconds."""
        self._scenario, self._contexts, self._at = scenario, contexts, at
        self._heap: list[tuple[float, int, int, float]] = []  # when it comes, round, action, reward

    def put(self, t: int, action: int) -> None:
        """Add the feedback on round t's answer, if there is any."""
        reward = float(self._scenario.feedback[t, action])
        if not isnan(reward):
            heappush(self._heap, (self._at[t] + float(self._scenario.delay_s[t, action]), t, action, reward))

    def come_by(self, at: float) -> list[tuple[int, RewardChange]]:
        """Take what has come by a time, in its order: each with the round that it is on."""
        heap, come = self._heap, []
        while heap and heap[0][0] <= at:
            _, answered, action, reward = heappop(heap)
            arm, features = self._scenario.arms[action], self._contexts[answered].features
            come.append((answered, RewardChange(arm, features, 1.0, reward, reward**2, self._at[answered])))
        return come
