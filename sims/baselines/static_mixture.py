"""The best fixed mixture of arms that a budget allows."""

import math

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.baselines.protocol import BaselineError, constant_choices, greedy_choices
from highwayman.sims.measures.hull import Hull
from highwayman.sims.tables.table import FullTable


class StaticMixture:
    """Draws arms with fixed probabilities, the best that keep the mean cost within a budget.

    The point at the budget on the concave hull of the arms in (mean cost, mean of quality minus penalty): one arm, or
    two. Without a budget the best corner, which is the best fixed arm. It is what a router that looks at the prompt
    must beat: the same spending, the same arms, blind (the "zero router" of RouterBench, Hu et al. 2024, arXiv
    2403.12031).
    """

    def __init__(self, *, budget_usd: float | None = None) -> None:
        """Take the dollars that a request may cost on average. Raises ValueError for one that is no number above 0."""
        if budget_usd is not None and not (budget_usd > 0 and math.isfinite(budget_usd)):
            raise ValueError(f"budget_usd must be a number > 0, got {budget_usd!r}")
        self._budget_usd = budget_usd

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return the mixture's probabilities for every prompt, shape (n, K).

        Raises:
            BaselineError: there is a budget and no arm has a price, or even the cheapest arm costs more.
        """
        return constant_choices(self.mixture(table, penalties), table)

    def mixture(self, table: FullTable, penalties: Floats) -> Floats:
        """Return the probability of each arm, shape (K,). Arms without a price take no part under a budget."""
        utility = np.asarray((table.quality - penalties).mean(axis=0))
        if self._budget_usd is None:
            cheaper_first: Floats = greedy_choices(utility[None], table)[0]
            return cheaper_first
        costs = np.array([np.nan if cost is None else cost for cost in table.mean_costs()])
        priced = np.flatnonzero(~np.isnan(costs))
        if not len(priced):
            raise BaselineError("static_mixture: no arm of the table has a cost, so none keeps a budget for certain")
        try:
            weights = Hull.of(costs[priced], utility[priced]).weights_at(self._budget_usd)
        except ValueError as error:
            raise BaselineError(f"static_mixture: budget_usd is too small: {error}") from error
        mixture = np.zeros(len(costs))
        mixture[priced] = weights
        return mixture
