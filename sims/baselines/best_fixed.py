"""The one arm that is best on average, known in hindsight."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.baselines.protocol import constant_choices, greedy_choices
from highwayman.sims.tables.table import FullTable


class BestFixed:
    """Takes the arm with the highest mean of quality minus penalty on the table itself.

    What a team gets that tests every model beforehand and deploys one. It is known in hindsight, so among many equally
    good arms its figure is slightly too high: the best of K means is.
    """

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return probability 1 on the best arm for every prompt, shape (n, K)."""
        mean = (table.quality - penalties).mean(axis=0, keepdims=True)  # (1, K)
        return constant_choices(greedy_choices(mean, table)[0], table)
