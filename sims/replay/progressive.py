"""A policy that learns from a bandit log as it goes, and what it would have done in each round before it knew it.

Progressive validation (Blum, Kalai & Langford, COLT 1999): the probabilities of a round depend on earlier rounds alone,
so they may be judged on it. They are those of a policy that learns from the arms that were logged, which is what a
challenger does; what it would earn learning from its own arms is for `sims/ope/estimators/rejection.py` to say.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.decision import ExplorationRules, decision_probs
from highwayman.bandit.draw import mix_many
from highwayman.bandit.policy import BatchPolicy, Policy
from highwayman.bandit.regression.sequential import PosteriorSummary, SequentialPredictions
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.logs.logged import Bools, Indices, LoggedData

_AT_ONCE = 128  # rounds gone through together: more would take longer for each
_LONG = 64  # rounds: what is frozen for as long as this is cheaper block by block

_Rows = Indices | slice
_Cells = tuple[Indices, ...] | slice


@runtime_checkable
class SequentialPolicy(BatchPolicy, Protocol):
    """A policy that can learn a stretch of rounds at once, and say what it believed before each of them."""

    def learn_sequentially(
        self,
        features: Floats,
        arms: tuple[str, ...],
        actions: Indices,
        rewards: Floats,
        *,
        at: Floats | None = None,
        frozen_for: int = 1,
    ) -> SequentialPredictions:
        """Learn m rounds, decided `at` (m,); return what was believed before each."""

    def learn_many(
        self, features: Floats, arms: tuple[str, ...], actions: Indices, rewards: Floats, *, at: Floats | None = None
    ) -> None:
        """Learn m rounds, decided `at` (m,)."""

    def choose(self, utilities: Floats, spreads: Floats, summary: PosteriorSummary) -> Floats:
        """Return probabilities (m, K) for what is believed."""


class ProgressiveValidation:
    """Is called with one chunk of the log after another, and learns from each."""

    def __init__(
        self,
        policy: Policy,
        *,
        floor: float,
        floor_loss: float | None = None,
        frozen_for: int = 1,
        learns: bool = True,
    ) -> None:
        """Take the policy in question.

        Args:
            policy: as far as it has learned already.
            floor: its exploration floor.
            floor_loss: what that may lose a round, in expected quality minus penalty; None: it is spread evenly.
            frozen_for: rounds between two updates; from some hundred on this is several times as fast.
            learns: whether it goes on learning.
        """
        if frozen_for < 1:
            raise ValueError(f"frozen_for must be >= 1, got {frozen_for!r}")
        self._policy = policy
        self._rules = ExplorationRules(floor, floor_loss=floor_loss)
        self._frozen_for = frozen_for
        self._learns = learns
        self._batch_policy = policy if isinstance(policy, BatchPolicy) else None
        self._sequential_policy = policy if isinstance(policy, SequentialPolicy) else None

    def __call__(self, log: LoggedData) -> Floats:
        """Return the probabilities (n, K) of the next rounds, floor included, each before its reward was learned."""
        for arm in log.arms:
            self._policy.add_arm(arm)
        probs = np.zeros(log.penalties.shape)
        size, step = self._strategy(weighted=bool((log.learning_weights() != 1.0).any()))
        for start in range(0, log.n, size):
            step(log, slice(start, min(start + size, log.n)), probs)
        return probs

    def _strategy(self, *, weighted: bool) -> tuple[int, Callable[[LoggedData, slice, Floats], None]]:
        """Return how many rounds to go through at a time, and how: whatever is fastest and comes to the same.

        Rewards that do not all count 1 are learned one by one.
        """
        size = self._frozen_for
        if self._sequential_policy is not None and self._learns and size < _LONG and not weighted:
            return _AT_ONCE // size * size, self._stretch
        if self._batch_policy is not None and not self._learns:
            return max(size, _AT_ONCE), self._block
        return size, self._single if size == 1 else self._block

    def _stretch(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        policy, observations = (
            self._sequential_policy,
            (log.contexts[rounds], log.arms, log.actions[rounds], log.rewards[rounds]),
        )
        assert policy is not None  # noqa: S101  (for mypy)
        predictions = policy.learn_sequentially(*observations, at=log.at[rounds], frozen_for=self._frozen_for)
        for _, rows, cells in _patterns(log.eligible[rounds]):
            means, spreads, penalties = predictions.means[cells], predictions.stds[cells], log.penalties[rounds][cells]
            summary = predictions.summaries.at(rows)
            chosen = policy.choose(means - penalties, spreads, summary)
            deviations = spreads * np.sqrt(summary.noise_variance)
            floor = self._rules.floor_by(means, deviations, penalties)
            probs[rounds][cells] = mix_many(chosen, floor=floor)

    def _single(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        row = rounds.start
        eligible = log.eligible[row]
        context = Context(log.contexts[row], log.encoder, 0)
        arms = tuple(arm for arm, is_eligible in zip(log.arms, eligible, strict=True) if is_eligible)
        candidates = Candidates(arms, np.full(len(arms), np.nan), log.penalties[row, eligible])
        probs[row, eligible] = decision_probs(
            self._policy, context, candidates, self._rules, explores=True, at=float(log.at[row])
        )
        if self._learns:
            self._policy.learn(_changes(log, rounds))

    def _block(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        self._fill_probs(log, rounds, probs)
        if not self._learns:
            return
        if self._sequential_policy is not None and (log.learning_weights()[rounds] == 1.0).all():
            observations = (log.contexts[rounds], log.arms, log.actions[rounds], log.rewards[rounds])
            self._sequential_policy.learn_many(*observations, at=log.at[rounds])
        else:
            self._policy.learn(_changes(log, rounds))

    def _fill_probs(self, log: LoggedData, rounds: slice, probs: Floats) -> None:
        if self._batch_policy is None:
            rules = self._rules
            frozen = ProgressiveValidation(self._policy, floor=rules.floor, floor_loss=rules.floor_loss, learns=False)
            probs[rounds] = frozen(log.take(rounds))
            return
        features, penalties = log.contexts[rounds], log.penalties[rounds]
        for pattern, rows, cells in _patterns(log.eligible[rounds]):
            arms = tuple(arm for arm, is_eligible in zip(log.arms, pattern, strict=True) if is_eligible)
            asked = features[rows], arms, penalties[cells]
            floor = self._rules.floor_for(self._policy, *asked)
            probs[rounds][cells] = mix_many(self._batch_policy.probs_many(*asked), floor=floor)


def _patterns(eligible: Bools) -> list[tuple[Bools, _Rows, _Cells]]:
    """Return each set of eligible arms (K,), the rounds that have it, and their cells in an array (m, K)."""
    if eligible.all():
        return [(eligible[0], slice(None), slice(None))]  # no copies
    patterns, pattern_of = np.unique(eligible, axis=0, return_inverse=True)
    rows = [np.flatnonzero(pattern_of.ravel() == k) for k in range(len(patterns))]
    return [(patterns[k], rows[k], np.ix_(rows[k], np.flatnonzero(patterns[k]))) for k in range(len(patterns))]


def _changes(log: LoggedData, rounds: slice) -> list[RewardChange]:
    """Return what these rounds teach: those without feedback teach nothing."""
    changes, weights = [], log.learning_weights()[rounds].tolist()
    for row, weight in zip(range(rounds.start, rounds.stop), weights, strict=True):
        reward = float(log.rewards[row])
        if not math.isnan(reward):
            arm, at = log.arms[log.actions[row]], float(log.at[row])
            sums = (weight, weight * reward, weight * reward * reward)
            changes.append(RewardChange(arm, log.contexts[row], *sums, at))
    return changes


Target = Callable[[LoggedData], Floats]  # probabilities (n, K) for the rounds of a chunk
