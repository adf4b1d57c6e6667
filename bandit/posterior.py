"""The regressions behind the linear policies, that can also learn many rounds at once."""

from collections.abc import Sequence

import numpy as np

from highwayman.bandit.in_order import Beliefs, Indices, Known, Lessons, absorbed, teach
from highwayman.bandit.ridges import REFRESH_EVERY, Ridges
from highwayman.env.types import Floats


class LinearPosterior(Ridges):
    """`Ridges` whose rounds may come as matrices: what one by one comes to, many times faster."""

    def learn_in_order(
        self, features: Floats, arms: Sequence[str], actions: Indices, rewards: Floats, *, frozen_for: int = 1
    ) -> Beliefs:
        """Learn m rounds, and return what was believed before each of them: what updating one by one comes to.

        Args:
            features: (m, d).
            arms: the K arms that `actions` count.
            actions: (m,) the arm each round teaches about.
            rewards: (m,) of weight 1; NaN: nobody said anything.
            frozen_for: rounds between two updates; no round knows of another since the last.
        """
        if self.fades:
            raise ValueError("rounds that fade are learned one by one")
        m, said = len(features), ~np.isnan(rewards)
        unknown_from = np.arange(m) // frozen_for * frozen_for
        means, squares = np.empty((m, len(arms))), np.empty((m, len(arms)))
        noise, weight, told = self._noise_sums(), self.weight_seen(), np.zeros(m)
        for k, arm in enumerate(arms):
            row, those = self._told.row(arm), np.flatnonzero(said & (actions == k))
            lessons = Lessons(those, rewards[those], unknown_from)
            found = absorbed(self._inverse[row], self._theta[row], features, lessons)
            means[:, k], squares[:, k], told[those] = found.means, found.squares, found.surprises**2
            if len(those):
                self._inverse[row], self._theta[row] = found.inverse, found.theta
                self._absorb(row, features[those], lessons.rewards)
        told, seen = (np.cumsum(sums) - sums for sums in (told, said))  # before each round
        variance = (noise[0] + told[unknown_from]) / (noise[1] + seen[unknown_from])
        known = Known(variance[:, None], (weight + seen[unknown_from])[:, None])
        return Beliefs(means, np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares), known)

    def learn_many(self, features: Floats, arms: Sequence[str], actions: Indices, rewards: Floats) -> None:
        """Learn m rounds, as `learn_in_order` does, without looking at what was believed meanwhile."""
        groups = np.where(np.isnan(rewards), len(arms), actions)  # the last group teaches nothing
        order = groups.argsort(kind="stable")
        features, rewards = features[order], rewards[order]
        ends = np.bincount(groups, minlength=len(arms)).cumsum().tolist()
        for arm, start, end in zip(arms, [0, *ends], ends, strict=False):
            if end > start:
                self._learn_at_once(self._told.row(arm), features[start:end], rewards[start:end])

    def _learn_at_once(self, row: int, lessons: Floats, rewards: Floats) -> None:
        if len(lessons) >= self.d:  # afresh is cheaper
            self._ages[row] = REFRESH_EVERY
        else:
            teach(self._inverse[row], self._theta[row], lessons, rewards)
        self._absorb(row, lessons, rewards)

    def _absorb(self, row: int, lessons: Floats, rewards: Floats) -> None:
        """Add lessons (n, d) of weight 1 to an arm's sums."""
        gained = rewards.dot(lessons)
        self._told.seed_row(row, lessons.T @ lessons, gained, np.array([len(rewards), rewards.dot(rewards)]))
        self._b[row] += gained
        self._ages[row] += len(rewards)
        if self._ages[row] >= REFRESH_EVERY:
            self._refresh(row)
