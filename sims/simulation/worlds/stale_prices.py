"""The price list is behind the times."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Course, Stage
from highwayman.sims.simulation.worlds.limits import within


@dataclass(frozen=True, slots=True)
class StalePrices:
    """The router expects what calls used to cost a share of the run earlier; they are metered at what they cost."""

    stage: ClassVar[Stage] = Stage.PRICE_LIST
    lag_share: float = 0.1  # of the run

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        within(0.0, 1.0, lag_share=self.lag_share)

    def apply(self, course: Course, rng: np.random.Generator) -> Course:
        """Return the course with an old price list."""
        lag = round(self.lag_share * course.n)
        return course.but(price_usd=course.price_usd[np.maximum(np.arange(course.n) - lag, 0)])
