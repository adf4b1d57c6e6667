"""The best arm for each prompt, known in hindsight."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.baselines.protocol import greedy_choices
from highwayman.sims.tables.table import FullTable


class Oracle:
    """Takes the arm with the highest quality minus penalty on that very prompt: no router can earn more.

    Nor can any come close: where answers are right or wrong by chance, the oracle picks whoever was lucky.
    """

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return probability 1 on each prompt's best arm, shape (n, K)."""
        return greedy_choices(table.quality - penalties, table)
