"""The prompts most like this one, with full information."""

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats
from highwayman.sims.baselines.folds import FOLDS, fold_of, out_of_fold
from highwayman.sims.baselines.protocol import greedy
from highwayman.sims.logs.logged import Indices
from highwayman.sims.tables.table import FullTable

CANDIDATES = (10, 30, 100, 300)
_BLOCK = 512  # prompts compared with all others at a time: bounds memory
_JUDGES = 1_000  # prompts that choose k


class Knn:
    """Predicts an arm's mean quality on the k nearest other prompts by cosine, and takes the best after penalties.

    Well tuned, it matches or beats learned routers (Li, "Rethinking Predictive Modeling for LLM Routing: When Simple
    kNN Beats Complex Learned Routers", 2025, arXiv 2505.12601). It takes like prompts to have like answers; where
    answers are noisy and arms many, the one that did best on k like prompts was often only lucky, and one fixed arm
    does better.

    Without a `k`, the one of 10, 30, 100 and 300 with the least squared error of the arms' leads over their mean, which
    is all that a choice needs, by an inner split of the rows it learns from. The context's constant takes no part in
    the cosine.
    """

    def __init__(self, *, k: int | None = None, folds: int = FOLDS) -> None:
        """Take the number of neighbours, None to choose it. Raises ValueError for one below 1."""
        if k is not None and k < 1:
            raise ValueError(f"k must be >= 1, got {k!r}")
        self._k, self._folds = k, folds

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return probability 1 on each prompt's best predicted arm, shape (n, K)."""
        return greedy(self.predictions(table, contexts, rng) - penalties, table)

    def predictions(self, table: FullTable, contexts: Floats, rng: np.random.Generator) -> Floats:
        """Return each arm's expected quality on each prompt, out of fold, shape (n, K)."""
        length = np.linalg.norm(contexts[:, :-1], axis=1, keepdims=True)
        units = (contexts[:, :-1] / np.where(length > 0, length, 1.0)).astype(np.float32)

        def predict(learn: Indices, ask: Indices) -> Floats:
            k = self._k or _chosen(units, table, learn, rng)
            nearest: Floats = _means(units[ask], units[learn], table.quality[learn], sizes=(k,))[0]
            return nearest

        return out_of_fold(table, predict, rng, count=self._folds)


def _chosen(units: npt.NDArray[np.float32], table: FullTable, rows: Indices, rng: np.random.Generator) -> int:
    prompts = [table.prompts[row] for row in rows]
    if len(set(prompts)) < 2:
        return CANDIDATES[0]
    fold = fold_of(prompts, rng)
    learn, judges = rows[fold != 0], rows[fold == 0][:_JUDGES]
    found = _means(units[judges], units[learn], table.quality[learn], sizes=CANDIDATES)
    missed = found - table.quality[judges]  # (candidates, m, K)
    errors = ((missed - missed.mean(axis=2, keepdims=True)) ** 2).mean(axis=(1, 2))
    return CANDIDATES[int(np.argmin(errors))]


def _means(
    asked: npt.NDArray[np.float32], known: npt.NDArray[np.float32], quality: Floats, *, sizes: tuple[int, ...]
) -> Floats:
    """Return mean qualities of the nearest neighbours of `asked`, (len(sizes), m, K), for several numbers of them."""
    counts = np.minimum(sizes, len(known))
    most = int(counts.max())
    found = np.empty((len(sizes), len(asked), quality.shape[1]))
    for start in range(0, len(asked), _BLOCK):
        part = slice(start, start + _BLOCK)
        far = -(asked[part] @ known.T)  # (block, known)
        near = np.argpartition(far, most - 1, axis=1)[:, :most]
        near = np.take_along_axis(near, np.take_along_axis(far, near, axis=1).argsort(axis=1, kind="stable"), axis=1)
        sums = quality[near].cumsum(axis=1)  # (block, most, K)
        found[:, part] = np.moveaxis(sums[:, counts - 1] / counts[:, None], 1, 0)
    return found
