"""A policy that learns from a bandit log as it goes, and what it would have done in each round before it knew it.

Progressive validation (Blum, Kalai & Langford, COLT 1999): the probabilities of a round depend on earlier rounds alone,
so they may be judged on it. They are those of a policy that learns from the arms that were logged, which is what a
challenger does; what it would earn learning from its own arms is for `sims/estimators/rejection.py` to say.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from highwayman.bandit.draw import mix
from highwayman.bandit.policy import Policy
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.logs.logged import Bools, Indices, LoggedData


@runtime_checkable
class ManyAtOnce(Protocol):
    """A policy that can be asked about many contexts at once."""

    def probs_many(self, features: Floats, arms: tuple[str, ...], penalties: Floats) -> Floats:
        """Return probabilities (m, K) for features (m, d) and penalties (m, K)."""


class Progressive:
    """Is called with one chunk of the log after another, and learns from each."""

    def __init__(self, policy: Policy, *, floor: float, frozen_for: int = 1, learns: bool = True) -> None:
        """Take the policy in question.

        Args:
            policy: as far as it has learned already.
            floor: its exploration floor.
            frozen_for: rounds between two updates; above 1 the rounds between are asked about at once, which is many
                times faster.
            learns: whether it goes on learning.
        """
        if frozen_for < 1:
            raise ValueError(f"frozen_for must be >= 1, got {frozen_for!r}")
        self._policy = policy
        self._floor = floor
        self._frozen_for = frozen_for
        self._learns = learns

    def __call__(self, log: LoggedData) -> Floats:
        """Return the probabilities (n, K) of the next rounds, floor included, each before its reward was learned."""
        for arm in log.arms:
            self._policy.add_arm(arm)
        probs = np.zeros(log.penalties.shape)
        ask = self._block if self._frozen_for > 1 else self._one
        for start in range(0, log.n, self._frozen_for):
            rounds = slice(start, min(start + self._frozen_for, log.n))
            ask(log, rounds, probs)
            if self._learns:
                self._policy.learn(_changes(log, rounds))
        return probs

    def _one(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        row = rounds.start
        eligible = log.eligible[row]
        context = Context(log.contexts[row], log.encoder, 0)
        if eligible.all():
            probs[row] = mix(self._policy.probs(context, log.arms, log.penalties[row]), floor=self._floor)
            return
        arms = [arm for arm, able in zip(log.arms, eligible, strict=True) if able]
        probs[row, eligible] = mix(self._policy.probs(context, arms, log.penalties[row, eligible]), floor=self._floor)

    def _block(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        many = self._policy.probs_many if isinstance(self._policy, ManyAtOnce) else None
        if many is None:
            for row in range(rounds.start, rounds.stop):
                self._one(log, slice(row, row + 1), probs)
            return
        for pattern, rows in _patterns(log.eligible[rounds], rounds.start):
            arms = tuple(arm for arm, able in zip(log.arms, pattern, strict=True) if able)
            cells = np.ix_(rows, np.flatnonzero(pattern))
            wished = many(log.contexts[rows], arms, log.penalties[cells])
            probs[cells] = (1.0 - self._floor) * wished + self._floor / len(arms)


def _patterns(eligible: Bools, first: int) -> list[tuple[Bools, Indices]]:
    """Return each set of eligible arms (K,) and the rounds that have it, numbered from `first`."""
    if eligible.all():
        return [(eligible[0], np.arange(first, first + len(eligible)))]
    found, place = np.unique(eligible, axis=0, return_inverse=True)
    return [(found[k], first + np.flatnonzero(place.ravel() == k)) for k in range(len(found))]


def _changes(log: LoggedData, rounds: slice) -> list[RewardChange]:
    """Return what these rounds teach: those without feedback teach nothing."""
    found = []
    for row in range(rounds.start, rounds.stop):
        reward = float(log.rewards[row])
        if not math.isnan(reward):
            found.append(RewardChange(log.arms[log.actions[row]], log.contexts[row], 1.0, reward, reward * reward))
    return found


Target = Callable[[LoggedData], Floats]  # probabilities (n, K) for the rounds of a chunk
