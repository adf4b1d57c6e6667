"""An arm leaves the pool while traffic runs, and may come back."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_order


@dataclass(frozen=True, slots=True)
class ArmRemoved:
    """The arm is out of the pool for part of the run."""

    stage: ClassVar[Stage] = Stage.POOL
    arm: str = "best"
    from_share: float = 0.5
    until_share: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_order(self.from_share, self.until_share)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario without the arm for that part."""
        available = scenario.available.copy()
        available[scenario.between(self.from_share, self.until_share), scenario.column(self.arm)] = False
        return scenario.replace(available=available)
