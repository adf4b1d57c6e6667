"""An arm's answers become worse, and nobody announces it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Course, Stage, WorldError
from highwayman.sims.simulation.worlds.limits import in_order, within


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
        within(0.0, 1.0, factor=self.factor)
        in_order(self.from_share, self.until_share)

    def apply(self, course: Course, rng: np.random.Generator) -> Course:
        """Return the course with the arm's quality lowered.

        Raises:
            WorldError: what is said is not the quality any more; it could not follow.
        """
        if not np.array_equal(course.said, course.quality):
            raise WorldError("QualityDrop comes before worlds that say something of quality, or silence it")
        quality = course.quality.copy()
        quality[course.between(self.from_share, self.until_share), course.column(self.arm)] *= self.factor
        return course.but(quality=quality, said=quality.copy())
