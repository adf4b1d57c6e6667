"""An arm's answers become worse, and nobody announces it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage, WorldError
from highwayman.sims.simulation.worlds.limits import check_order, check_range


@dataclass(frozen=True, slots=True)
class QualityDrop:
    """The quality of an arm's answers is multiplied for part of the run, and feedback follows."""

    stage: ClassVar[Stage] = Stage.QUALITY
    arm: str = "best"
    factor: float = 0.5
    from_share: float = 0.5  # of the run
    until_share: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, factor=self.factor)
        check_order(self.from_share, self.until_share)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with the arm's quality lowered.

        Raises:
            WorldError: the feedback is not the quality any more; it could not follow.
        """
        if not np.array_equal(scenario.feedback, scenario.quality):
            raise WorldError("QualityDrop comes before worlds that say something of quality, or silence it")
        quality = scenario.quality.copy()
        quality[scenario.between(self.from_share, self.until_share), scenario.column(self.arm)] *= self.factor
        return scenario.replace(quality=quality, feedback=quality.copy())
