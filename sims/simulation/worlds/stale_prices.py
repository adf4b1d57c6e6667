"""The price list is behind the times."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class StalePrices:
    """The router expects what calls used to cost a share of the run earlier; they are metered at what they cost."""

    stage: ClassVar[Stage] = Stage.PRICE_LIST
    lag_share: float = 0.1  # of the run

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, lag_share=self.lag_share)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with an old price list."""
        lag = round(self.lag_share * scenario.n)
        return scenario.replace(price_usd=scenario.price_usd[np.maximum(np.arange(scenario.n) - lag, 0)])
