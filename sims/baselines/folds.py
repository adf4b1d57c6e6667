"""Cross-validation that tells equal prompts apart from equally hard ones: the same text is never on both sides."""

from collections.abc import Callable, Sequence

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.baselines.protocol import BaselineError
from highwayman.sims.logs.logged import Indices
from highwayman.sims.tables.table import FullTable

FOLDS = 5

Predict = Callable[[Indices, Indices], Floats]  # (rows to learn from, m rows to predict) -> (m, K)


def fold_of(prompts: Sequence[str], rng: np.random.Generator, *, count: int = FOLDS) -> Indices:
    """Return the fold of each prompt, shape (n,), from 0 to `count` - 1; prompts of identical text share one.

    Folds hold equally many distinct texts, give or take one. With fewer distinct texts than `count`, each is a fold.

    Raises:
        BaselineError: fewer than two folds or two distinct prompts, which cannot be split.
    """
    numbers: dict[str, int] = {}
    texts = np.array([numbers.setdefault(prompt, len(numbers)) for prompt in prompts], dtype=np.intp)
    if min(count, len(numbers)) < 2:
        raise BaselineError(f"cross-validation needs two folds and two distinct prompts; got {count}, {len(numbers)}")
    return np.asarray(rng.permutation(len(numbers))[texts] % min(count, len(numbers)), dtype=np.intp)


def out_of_fold(table: FullTable, predict: Predict, rng: np.random.Generator, *, count: int = FOLDS) -> Floats:
    """Return a prediction of quality for every prompt and arm, (n, K), each by `predict` from the other folds alone."""
    fold = fold_of(table.prompts, rng, count=count)
    predictions = np.empty(table.quality.shape)
    for number in np.unique(fold):
        held_out = np.flatnonzero(fold == number)
        predictions[held_out] = predict(np.flatnonzero(fold != number), held_out)
    return predictions
