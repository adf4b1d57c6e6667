"""The cheapest arm, whatever is asked."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.baselines.protocol import BaselineError, constant_choices
from highwayman.sims.tables.table import FullTable


class CheapestBaseline:
    """Takes the arm of the least mean cost, of equally cheap ones the better; an arm without a price never."""

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return probability 1 on the cheapest arm for every prompt, shape (n, K). Raises BaselineError: no prices."""
        costs = np.array([np.inf if cost is None else cost for cost in table.mean_costs()])
        if not np.isfinite(costs).any():
            raise BaselineError("cheapest: no arm of the table has a cost for every prompt")
        best = int(np.lexsort((-table.quality.mean(axis=0), costs))[0])
        return constant_choices(np.eye(len(costs))[best], table)
