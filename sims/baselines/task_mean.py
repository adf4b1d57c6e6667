"""Each task's best arm, by the label of the task."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.baselines.folds import FOLDS, out_of_fold
from highwayman.sims.baselines.protocol import BaselineError, greedy_choices
from highwayman.sims.logs.logged import Indices
from highwayman.sims.tables.table import FullTable


class TaskMean:
    """Predicts an arm's mean quality on the other prompts of the same task, and takes the best after penalties.

    The label is the benchmark's own, which production never sees. A task without other prompts has the mean of all.
    """

    def __init__(self, *, folds: int = FOLDS) -> None:
        self._folds = folds

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return probability 1 on each task's best arm, shape (n, K). Raises BaselineError: no task has a name."""
        return greedy_choices(self.predictions(table, contexts, rng) - penalties, table)

    def predictions(self, table: FullTable, contexts: Floats, rng: np.random.Generator) -> Floats:
        """Return each arm's expected quality on each prompt, out of fold, shape (n, K). Raises BaselineError."""
        if not any(table.tasks):
            raise BaselineError(
                "task_mean: the table's tasks are empty; it needs a column `task` to tell prompts apart"
            )
        names, task = np.unique(np.array(table.tasks), return_inverse=True)

        def predict(train: Indices, test: Indices) -> Floats:
            member = np.eye(len(names))[task[train]]  # (m, tasks)
            counts = member.sum(axis=0)[:, None]
            sums = member.T @ table.quality[train]
            means = np.where(counts > 0, sums / np.maximum(counts, 1.0), table.quality[train].mean(axis=0))
            return np.asarray(means[task[test]], dtype=np.float64)

        return out_of_fold(table, predict, rng, count=self._folds)
