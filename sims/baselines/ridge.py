"""A linear model of each arm's quality, with full information."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.baselines.folds import FOLDS, out_of_fold
from highwayman.sims.baselines.protocol import greedy_choices
from highwayman.sims.logs.logged import Indices
from highwayman.sims.tables.table import FullTable

_STRENGTHS = np.logspace(-4, 4, 33)  # times the mean eigenvalue of the features' scatter
_LEAST_SCALE = 1e-12


class Ridge:
    """Predicts every arm's quality from the context by ridge regression, and takes the best after penalties.

    The most that a linear bandit on the same features can hope for: it has seen every arm on every other prompt. The
    intercept is not shrunk. How well all arms do on a prompt and each arm's lead over it are learned apart: a choice
    needs only the leads, which are harder to see and want stronger shrinkage than how hard a prompt is. Each is
    chosen by generalised cross-validation on the rows learned from (Golub, Heath & Wahba, Technometrics 1979: the least
    n RSS / (n - degrees of freedom)^2).
    """

    def __init__(self, *, folds: int = FOLDS) -> None:
        self._folds = folds

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return probability 1 on each prompt's best predicted arm, shape (n, K)."""
        return greedy_choices(self.predictions(table, contexts, rng) - penalties, table)

    def predictions(self, table: FullTable, contexts: Floats, rng: np.random.Generator) -> Floats:
        """Return each arm's expected quality on each prompt, out of fold, shape (n, K)."""
        features = contexts[:, :-1]

        def predict(train: Indices, test: Indices) -> Floats:
            level = table.quality[train].mean(axis=1, keepdims=True)  # (m, 1)
            predictions = ridge_predictions(
                features[train], np.hstack([table.quality[train] - level, level]), features[test]
            )
            return np.asarray(predictions[:, :-1] + predictions[:, -1:], dtype=np.float64)

        return out_of_fold(table, predict, rng, count=self._folds)


def ridge_predictions(features: Floats, quality: Floats, queries: Floats) -> Floats:
    """Return predictions (m, K) at `queries` (m, d) of ridge regressions of `quality` (n, K) on `features` (n, d)."""
    centre, mean = features.mean(axis=0), quality.mean(axis=0)
    values, axes = np.linalg.eigh((features - centre).T @ (features - centre))
    values = np.maximum(values, 0.0)  # (d,)
    along = axes.T @ (features - centre).T @ (quality - mean)  # (d, K)
    scale = max(float(values.mean()) if len(values) else 0.0, _LEAST_SCALE)
    strengths = _STRENGTHS * scale
    spread = ((quality - mean) ** 2).sum(axis=0)  # (K,)
    fit = [_gcv(values, along, spread, n=len(features), strength=strength) for strength in strengths]
    best = strengths[np.argmin(fit, axis=0)]  # (K,)
    return np.asarray(mean + (queries - centre) @ (axes @ (along / (values[:, None] + best))), dtype=np.float64)


def _gcv(values: Floats, along: Floats, spread: Floats, *, n: int, strength: float) -> Floats:
    shrunk = along**2 / (values + strength)[:, None]  # (d, K)
    rss = spread - 2 * shrunk.sum(axis=0) + (shrunk * (values / (values + strength))[:, None]).sum(axis=0)
    freedom = n - 1.0 - float((values / (values + strength)).sum())
    if freedom < 0.5:
        return np.full(len(spread), np.inf)
    return np.asarray(n * np.maximum(rss, 0.0) / freedom**2, dtype=np.float64)
