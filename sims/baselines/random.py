"""Every arm alike, whatever is asked."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.baselines.protocol import constant_choices
from highwayman.sims.tables.table import FullTable


class Random:
    """Draws uniformly: what a router without any knowledge earns, and what a first log is made with."""

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return 1 / K for every prompt and arm, shape (n, K)."""
        arms = len(table.arms)
        return constant_choices(np.full(arms, 1.0 / arms), table)
