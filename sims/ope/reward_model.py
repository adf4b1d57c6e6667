"""A reward model for off-policy estimates that never predicts a round from what its own session taught."""

from collections.abc import Iterator

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Indices, LogError, LoggedData
from highwayman.sims.ope.intervals.session_hash import hashed

_BLOCK = 8192  # rows: the block and its sorted copy stay in the processor's cache
_FOLD_SALT = 0  # intervals file sessions under other salts
_NO_MEAN = 0.5  # predicted where no other fold has a reward


class RewardModel:
    """Ridge regression of the reward per arm, cross-fitted: sessions are dealt into folds by hash of their id.

    theta(f, k) = (ridge I + sum x x^T)^-1 sum x (r - m) over the rounds of arm k outside fold f, with m their mean over
    all arms, which is what an arm without rounds is predicted to earn; the intercept (last feature) is held to m by one
    round's worth only. Predictions are clipped to [0, 1]. Sums are kept per fold and arm, so the log can be read in
    chunks, in any order; blocks are added in float32, which is exact enough for sums that a ridge steadies.
    """

    def __init__(self, *, folds: int = 4, ridge: float = 2.0) -> None:
        """Start without rounds.

        Args:
            folds: how many; each is predicted from the others.
            ridge: strength on every feature but the intercept.
        """
        if folds < 2:
            raise ValueError(f"folds must be >= 2 (a fold is predicted from the others), got {folds!r}")
        if not (np.isfinite(ridge) and ridge > 0):
            raise ValueError(f"ridge must be > 0, got {ridge!r}")
        self._folds = folds
        self._ridge = ridge
        self._arms: tuple[str, ...] = ()
        self._gram: Floats = np.zeros((0, 0, 0))  # (folds * K, d, d) sum x x^T
        self._moment: Floats = np.zeros((0, 0))  # (folds * K, d) sum x r
        self._theta: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None  # (d, folds * K), when solved

    def fit(self, log: LoggedData) -> None:
        """Add a chunk of the log, each round by its weight; rounds without a reward teach nothing.

        Raises LogError if chunks do not fit.
        """
        known = np.isfinite(log.rewards)
        log = log if known.all() else log.take(known)
        self._same_log(log)
        self._theta = None
        rewards, weights = log.rewards.astype(np.float32), log.learning_weights().astype(np.float32)
        weighted = bool((weights != 1.0).any())
        for rows in _blocks(log.n):
            group = self.fold_of(log.sessions[rows]) * len(self._arms) + log.actions[rows]
            order = np.argsort(group.astype(np.uint16), kind="stable")  # 16 bits: a radix sort
            x = log.contexts[rows].astype(np.float32).take(order, axis=0)
            r = rewards[rows].take(order)
            ends = np.cumsum(np.bincount(group, minlength=len(self._gram)))
            for g, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                if end > start:
                    part = x[start:end]
                    taught = part * weights[rows].take(order[start:end])[:, None] if weighted else part
                    self._gram[g] += part.T @ taught
                    self._moment[g] += r[start:end] @ taught

    def fold_of(self, sessions: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Indices:
        """Return each round's fold, shape (n,): the same for all of a session, in whichever chunk."""
        return (hashed(sessions, salt=_FOLD_SALT) % np.uint64(self._folds)).astype(np.intp)

    def values(self, log: LoggedData, target: Floats) -> tuple[Floats, Floats]:
        """Return what the model expects of `target` (n, K), and of the action taken: two arrays (n,).

        Raises:
            LogError: the log is over other arms or features than those fitted, or nothing was fitted.
        """
        direct, taken = np.empty(log.n), np.empty(log.n)
        for rows in _blocks(log.n):
            block = log.take(rows)
            predicted = self.predict(block)
            direct[rows] = np.einsum("nk,nk->n", predicted, target[rows])
            taken[rows] = predicted.ravel().take(np.arange(block.n) * len(self._arms) + block.actions)
        return direct, taken

    def predict(self, log: LoggedData) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Return the reward expected of every arm, shape (n, K), in [0, 1]. Raises LogError as `values` does."""
        if not self._arms:
            raise LogError("the reward model has seen no round; fit the log first")
        self._same_log(log)
        if self._theta is None:
            self._theta = self._solved()
        # One product for all folds, then each round's own.
        predictions_of_folds = log.contexts.astype(np.float32) @ self._theta
        own_fold = np.arange(log.n) * self._folds + self.fold_of(log.sessions)
        predictions = predictions_of_folds.reshape(-1, len(self._arms)).take(own_fold, axis=0)
        return np.clip(predictions, 0.0, 1.0, out=predictions)

    def _solved(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        d, k = self._moment.shape[1], len(self._arms)
        gram, moment = self._gram.reshape(self._folds, k, d, d), self._moment.reshape(self._folds, k, d)
        gram, moment = gram.sum(axis=0) - gram, moment.sum(axis=0) - moment  # of the other folds
        counts, totals = gram[:, :, -1, -1].sum(axis=1), moment[:, :, -1].sum(axis=1)
        means = np.where(counts > 0.5, totals / np.maximum(counts, 1.0), _NO_MEAN)  # (folds,)
        prior = np.full(d, self._ridge)
        prior[-1] = 1.0
        moment[:, :, -1] += means[:, None]
        theta = np.linalg.solve(gram + np.diag(prior), moment[..., None])[..., 0]  # (folds, K, d)
        return np.ascontiguousarray(theta.reshape(-1, d).T, dtype=np.float32)

    def _same_log(self, log: LoggedData) -> None:
        if not self._arms:
            self._arms = log.arms
            self._gram = np.zeros((self._folds * len(log.arms), log.d, log.d))
            self._moment = np.zeros((self._folds * len(log.arms), log.d))
        if (log.arms, log.d) != (self._arms, self._moment.shape[1]):
            raise LogError(
                f"the reward model was fitted on arms {', '.join(self._arms)} with {self._moment.shape[1]} features; "
                f"these rounds are of {', '.join(log.arms)} with {log.d}"
            )


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))
