"""Somebody has to pay for it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage, WorldError
from highwayman.sims.simulation.worlds.limits import check_positive, check_range


@dataclass(frozen=True, slots=True)
class Budget:
    """A ceiling on what a request may cost on average, in dollars or relative to what the arms cost."""

    stage: ClassVar[Stage] = Stage.PRICE_LIST
    usd: float | None = None
    share: float | None = None  # of the way from the cheapest arm's mean cost to the dearest's

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        if (self.usd is None) == (self.share is None):
            raise ValueError(f"give either usd or share, got usd={self.usd!r} and share={self.share!r}")
        check_positive(usd=self.usd)
        check_range(0.0, 1.0, share=self.share)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with the ceiling.

        Raises:
            WorldError: it is relative and no arm costs anything, or the cheapest is free and so is the ceiling.
        """
        if self.share is None:
            return scenario.replace(budget_usd=self.usd)
        means = scenario.cost_usd.mean(axis=0)
        if not np.nansum(means) > 0:
            raise WorldError("Budget: no arm costs anything, so a share says nothing; give usd")
        cheapest, dearest = float(np.nanmin(means)), float(np.nanmax(means))
        ceiling = cheapest + self.share * (dearest - cheapest)
        if not ceiling > 0:
            raise WorldError(f"Budget: share={self.share:g} of what these arms cost is nothing; give more, or usd")
        return scenario.replace(budget_usd=ceiling)
