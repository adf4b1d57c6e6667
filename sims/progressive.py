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
from highwayman.bandit.in_order import Beliefs, Known
from highwayman.bandit.policy import Policy
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.logs.logged import Bools, Indices, LoggedData

_AT_ONCE = 128  # rounds gone through together: more would take longer for each


@runtime_checkable
class ManyAtOnce(Protocol):
    """A policy that can be asked about many contexts at once."""

    def probs_many(self, features: Floats, arms: tuple[str, ...], penalties: Floats) -> Floats:
        """Return probabilities (m, K) for features (m, d) and penalties (m, K)."""


@runtime_checkable
class InOrder(ManyAtOnce, Protocol):
    """A policy that can learn a stretch of rounds at once, and say what it believed before each of them."""

    def learn_in_order(self, features: Floats, arms: tuple[str, ...], actions: Indices, rewards: Floats) -> Beliefs:
        """Learn m rounds; return what was believed before each."""

    def learn_many(self, features: Floats, arms: tuple[str, ...], actions: Indices, rewards: Floats) -> None:
        """Learn m rounds."""

    def choose(self, utilities: Floats, spreads: Floats, known: Known) -> Floats:
        """Return probabilities (m, K) for what is believed."""


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
        exact = self._frozen_for == 1
        in_order = exact and self._learns and isinstance(self._policy, InOrder)
        size = _AT_ONCE if in_order else self._frozen_for
        go = self._in_order if in_order else self._one if exact else self._block
        for start in range(0, log.n, size):
            go(log, slice(start, min(start + size, log.n)), probs)
        return probs

    def _in_order(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        policy = self._policy
        assert isinstance(policy, InOrder)  # noqa: S101  (for mypy)
        features, actions, rewards = log.contexts[rounds], log.actions[rounds], log.rewards[rounds]
        beliefs = policy.learn_in_order(features, log.arms, actions, rewards)
        for pattern, rows in _patterns(log.eligible[rounds], 0):
            cells = np.ix_(rows, np.flatnonzero(pattern))
            utilities = beliefs.means[cells] - log.penalties[rounds][cells]
            wished = policy.choose(utilities, beliefs.spreads[cells], beliefs.known.at(rows))
            probs[rounds][cells] = self._mixed(wished)

    def _mixed(self, wished: Floats) -> Floats:
        """Return probabilities (m, K) mixed with the floor, as `bandit.draw.mix` does with each."""
        mixed: Floats = (1.0 - self._floor) * (wished / wished.sum(axis=1, keepdims=True))
        mixed += self._floor / wished.shape[1]
        return mixed

    def _one(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        row = rounds.start
        eligible = log.eligible[row]
        context = Context(log.contexts[row], log.encoder, 0)
        arms = [arm for arm, able in zip(log.arms, eligible, strict=True) if able]
        probs[row, eligible] = mix(self._policy.probs(context, arms, log.penalties[row, eligible]), floor=self._floor)
        if self._learns:
            self._policy.learn(_changes(log, rounds))

    def _block(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        self._ask(log, rounds, probs)
        if not self._learns:
            return
        if isinstance(self._policy, InOrder):
            self._policy.learn_many(log.contexts[rounds], log.arms, log.actions[rounds], log.rewards[rounds])
        else:
            self._policy.learn(_changes(log, rounds))

    def _ask(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        if not isinstance(self._policy, ManyAtOnce):
            asking = Progressive(self._policy, floor=self._floor, learns=False)
            probs[rounds] = asking(log.take(rounds))
            return
        for pattern, rows in _patterns(log.eligible[rounds], rounds.start):
            arms = tuple(arm for arm, able in zip(log.arms, pattern, strict=True) if able)
            cells = np.ix_(rows, np.flatnonzero(pattern))
            probs[cells] = self._mixed(self._policy.probs_many(log.contexts[rows], arms, log.penalties[cells]))


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
