"""An arm becomes dearer or cheaper."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_order, check_positive


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What calls of an arm are metered at, and its entry in the price list, are multiplied at the same time."""

    stage: ClassVar[Stage] = Stage.POOL
    arm: str = "best"
    factor: float = 10.0
    from_share: float = 0.5  # of the run
    until_share: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_positive(factor=self.factor)
        check_order(self.from_share, self.until_share)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with the arm's new price."""
        rounds, column = scenario.between(self.from_share, self.until_share), scenario.column(self.arm)
        cost_usd, price_usd = scenario.cost_usd.copy(), scenario.price_usd.copy()
        cost_usd[rounds, column] *= self.factor
        price_usd[rounds, column] *= self.factor
        return scenario.replace(cost_usd=cost_usd, price_usd=price_usd)
