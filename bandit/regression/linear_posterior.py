"""The regressions behind the linear policies, that can also learn many rounds at once."""

import math
from collections.abc import Sequence

import numpy as np

from highwayman.bandit.regression.ridge_posterior import RidgePosterior
from highwayman.bandit.regression.sequential import (
    Indices,
    Observations,
    PosteriorSummary,
    SequentialPredictions,
    batch_update,
    sequential_update,
)
from highwayman.env.types import Floats, RewardChange


class LinearPosterior(RidgePosterior):
    """`RidgePosterior` that takes rounds as matrices: what one by one comes to, many times faster unless they fade."""

    def learn_sequentially(
        self,
        features: Floats,
        arms: Sequence[str],
        actions: Indices,
        rewards: Floats,
        *,
        at: Floats | None = None,
        frozen_for: int = 1,
    ) -> SequentialPredictions:
        """Learn m rounds, and return what was believed before each of them: what updating one by one comes to.

        Args:
            features: (m, d).
            arms: the K arms that `actions` count.
            actions: (m,) the arm each round teaches about.
            rewards: (m,) of weight 1; NaN: no feedback.
            at: (m,) when the rounds were decided, in seconds since the epoch; None: unknown.
            frozen_for: rounds between two updates; no round knows of another since the last.
        """
        if self.has_half_life:
            changes = _changes(features, [arms[k] for k in actions], rewards, at)
            return self._in_blocks(features, arms, changes, size=frozen_for)
        m, has_reward = len(features), ~np.isnan(rewards)
        unknown_from = np.arange(m) // frozen_for * frozen_for
        means, squares = np.empty((m, len(arms))), np.empty((m, len(arms)))
        noise, weight, errors = self._noise_sums(), self.total_weight(), np.zeros(m)
        for k, arm in enumerate(arms):
            row, rounds = self._statistics.row(arm), np.flatnonzero(has_reward & (actions == k))
            observations = Observations(rounds, rewards[rounds], unknown_from)
            update = sequential_update(self._inverse[row], self._theta[row], features, observations)
            means[:, k], squares[:, k], errors[rounds] = update.means, update.squares, update.residuals**2
            if len(rounds):
                self._inverse[row], self._theta[row] = update.inverse, update.theta
                self._absorb(row, features[rounds], observations.rewards)
        errors, seen = (np.cumsum(sums) - sums for sums in (errors, has_reward))  # before each round
        variance = (noise[0] + errors[unknown_from]) / (noise[1] + seen[unknown_from])
        summary = PosteriorSummary(variance[:, None], (weight + seen[unknown_from])[:, None])
        return SequentialPredictions(means, np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares), summary)

    def _in_blocks(
        self, features: Floats, arms: Sequence[str], changes: Sequence[RewardChange | None], *, size: int
    ) -> SequentialPredictions:
        """Learn what each of m rounds teaches, one by one; return what was believed before each block of so many."""
        m = len(features)
        means, spreads = np.empty((m, len(arms))), np.empty((m, len(arms)))
        variance, weight = np.empty((m, 1)), np.empty((m, 1))
        for start in range(0, m, size):
            block = slice(start, start + size)
            means[block], spreads[block] = self.mean_and_std_many(features[block], arms)
            variance[block], weight[block] = self.noise_variance(), self.total_weight()
            self.update(change for change in changes[block] if change is not None)
        return SequentialPredictions(means, spreads, PosteriorSummary(variance, weight))

    def learn_many(
        self, features: Floats, arms: Sequence[str], actions: Indices, rewards: Floats, *, at: Floats | None = None
    ) -> None:
        """Learn m rounds, as `learn_sequentially` does, without looking at what was believed meanwhile."""
        if self.has_half_life:
            changes = _changes(features, [arms[k] for k in actions], rewards, at)
            self.update(change for change in changes if change is not None)
            return
        groups = np.where(np.isnan(rewards), len(arms), actions)  # the last group teaches nothing
        order = groups.argsort(kind="stable")
        features, rewards = features[order], rewards[order]
        ends = np.bincount(groups, minlength=len(arms)).cumsum().tolist()
        for arm, start, end in zip(arms, [0, *ends], ends, strict=False):
            if end > start:
                self._learn_at_once(self._statistics.row(arm), features[start:end], rewards[start:end])

    def _learn_at_once(self, row: int, features: Floats, rewards: Floats) -> None:
        if len(features) >= self.d:  # afresh is cheaper
            self._ages[row] = self._REFRESH_EVERY
        else:
            batch_update(self._inverse[row], self._theta[row], features, rewards)
        self._absorb(row, features, rewards)

    def _absorb(self, row: int, features: Floats, rewards: Floats) -> None:
        """Add rounds of weight 1, features (n, d) and rewards (n,), to an arm's sums."""
        gained = rewards.dot(features)
        self._statistics.add_evidence_at(
            row, features.T @ features, gained, np.array([len(rewards), rewards.dot(rewards)])
        )
        self._b[row] += gained
        self._ages[row] += len(rewards)
        if self._ages[row] >= self._REFRESH_EVERY:
            self._refresh(row)


def _changes(features: Floats, arms: Sequence[str], rewards: Floats, at: Floats | None) -> list[RewardChange | None]:
    """Return what each of m rounds teaches about its arm, None for those without feedback."""
    times = [0.0] * len(features) if at is None else at.tolist()
    return [
        None if math.isnan(reward) else RewardChange(arm, x, 1.0, reward, reward**2, time)
        for x, arm, reward, time in zip(features, arms, rewards.tolist(), times, strict=True)
    ]
