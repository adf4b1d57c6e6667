"""The prompts most like this one, with full information."""

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats
from highwayman.sims.baselines.folds import FOLDS, fold_of, out_of_fold
from highwayman.sims.baselines.protocol import greedy_choices
from highwayman.sims.logs.logged import Indices
from highwayman.sims.tables.table import FullTable

CANDIDATES = (10, 30, 100, 300)
_BLOCK = 256  # prompts compared with all others at a time: bounds memory
_JUDGES = 1_000  # prompts that choose k

Units = npt.NDArray[np.float32]  # (n, d) of length 1, or 0


class Knn:
    """Predicts an arm's mean quality on the k nearest other prompts by cosine, and takes the best after penalties.

    Well tuned, it matches or beats learned routers (Li, "Rethinking Predictive Modeling for LLM Routing: When Simple
    kNN Beats Complex Learned Routers", 2025, arXiv 2505.12601). It takes like prompts to have like answers; where
    answers are noisy and arms many, the one that did best on k like prompts was often only lucky, and one fixed arm
    does better.

    Without a `k`, an inner split of the rows it learns from says which of 10, 30, 100 and 300 has the least squared
    error of the arms' leads over their mean, which is all that a choice needs; the largest k takes its place that is
    worse by no more than one standard error (Breiman, Friedman, Olshen & Stone, "Classification and Regression Trees",
    1984, section 3.4.3), since luck misleads a choice among many arms more than it shows in the error. Prompts as near
    as the k-th all count. The context's constant takes no part in the cosine.
    """

    def __init__(self, *, k: int | None = None, folds: int = FOLDS) -> None:
        """Take the number of neighbours, None to choose it. Raises ValueError for one below 1."""
        if k is not None and k < 1:
            raise ValueError(f"k must be >= 1, got {k!r}")
        self._k, self._folds = k, folds

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return probability 1 on each prompt's best predicted arm, shape (n, K)."""
        return greedy_choices(self.predictions(table, contexts, rng) - penalties, table)

    def predictions(self, table: FullTable, contexts: Floats, rng: np.random.Generator) -> Floats:
        """Return each arm's expected quality on each prompt, out of fold, shape (n, K)."""
        length = np.linalg.norm(contexts[:, :-1], axis=1, keepdims=True)
        units = (contexts[:, :-1] / np.where(length > 0, length, 1.0)).astype(np.float32)

        def predict(train: Indices, test: Indices) -> Floats:
            k = self._k or _chosen(units, table, train, rng)
            nearest: Floats = _means(units[test], units[train], table.quality[train], sizes=(k,))[0]
            return nearest

        return out_of_fold(table, predict, rng, count=self._folds)


def _chosen(units: Units, table: FullTable, rows: Indices, rng: np.random.Generator) -> int:
    prompts = [table.prompts[row] for row in rows]
    if len(set(prompts)) < 2:
        return CANDIDATES[0]
    fold = fold_of(prompts, rng)
    # Drawn, not the first ones: tables are often sorted by task.
    judges = rng.permutation(rows[fold == 0])[:_JUDGES]
    train = rows[fold != 0]
    predictions = _means(units[judges], units[train], table.quality[train], sizes=CANDIDATES)
    residuals = predictions - table.quality[judges]  # (candidates, m, K)
    errors = ((residuals - residuals.mean(axis=2, keepdims=True)) ** 2).mean(axis=2)  # (candidates, m)
    excess = errors - errors[errors.mean(axis=1).argmin()]
    is_as_good = excess.mean(axis=1) <= excess.std(axis=1) / np.sqrt(len(judges))
    return CANDIDATES[int(np.flatnonzero(is_as_good)[-1])]


def _means(queries: Units, neighbours: Units, quality: Floats, *, sizes: tuple[int, ...]) -> Floats:
    """Return mean qualities of the nearest neighbours of `queries`, (len(sizes), m, K), for several numbers of them."""
    last = np.minimum(sizes, len(neighbours)) - 1
    means = np.empty((len(sizes), len(queries), quality.shape[1]))
    for start in range(0, len(queries), _BLOCK):
        part = slice(start, start + _BLOCK)
        distances = -(queries[part] @ neighbours.T)  # (block, neighbours)
        bounds = np.partition(distances, np.unique(last), axis=1)[:, last]  # values sort far faster than their indices
        for number, bound in enumerate(bounds.T):
            is_near = (distances <= bound[:, None]).astype(np.float64)
            means[number, part] = is_near @ quality / is_near.sum(axis=1, keepdims=True)
    return means
