"""An arm leaves the pool while traffic runs, and may come back."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Course, Stage
from highwayman.sims.simulation.worlds.limits import in_order


@dataclass(frozen=True, slots=True)
class ArmRemoved:
    """The arm is out of the pool for part of the run."""

    stage: ClassVar[Stage] = Stage.POOL
    arm: str = "best"
    from_share: float = 0.5
    until_share: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        in_order(self.from_share, self.until_share)

    def apply(self, course: Course, rng: np.random.Generator) -> Course:
        """Return the course without the arm for that part."""
        available = course.available.copy()
        available[course.between(self.from_share, self.until_share), course.column(self.arm)] = False
        return course.but(available=available)
