"""An arm joins the pool while traffic runs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class ArmAdded:
    """The arm is in the pool only from a share of the run on."""

    stage: ClassVar[Stage] = Stage.POOL
    arm: str = "best"
    from_share: float = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, from_share=self.from_share)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario without the arm at first."""
        available = scenario.available.copy()
        available[scenario.between(0.0, self.from_share), scenario.column(self.arm)] = False
        return scenario.replace(available=available)
