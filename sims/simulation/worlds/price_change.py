"""An arm becomes dearer or cheaper."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Course, Stage
from highwayman.sims.simulation.worlds.limits import in_order, positive


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
        positive(factor=self.factor)
        in_order(self.from_share, self.until_share)

    def apply(self, course: Course, rng: np.random.Generator) -> Course:
        """Return the course with the arm's new price."""
        rounds, column = course.between(self.from_share, self.until_share), course.column(self.arm)
        cost_usd, price_usd = course.cost_usd.copy(), course.price_usd.copy()
        cost_usd[rounds, column] *= self.factor
        price_usd[rounds, column] *= self.factor
        return course.but(cost_usd=cost_usd, price_usd=price_usd)
