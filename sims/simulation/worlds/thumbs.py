"""People give a thumb up or down: one bit, and not always the right one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class Thumbs:
    """A thumb is up with the probability that is the answer's quality."""

    stage: ClassVar[Stage] = Stage.FEEDBACK
    rate: float = 0.05  # probability that a thumb is given
    flip: float = 0.0  # probability that it is the wrong one

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, rate=self.rate, flip=self.flip)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with thumbs, 1 or 0, as its feedback."""
        # Three draws whatever the parameters: at twice the rate the same thumbs are given, and as many again.
        quality_draw, rate_draw, flip_draw = rng.random((3, *scenario.quality.shape))
        up = (quality_draw < scenario.quality) ^ (flip_draw < self.flip)
        return scenario.replace(feedback=np.where(rate_draw < self.rate, up.astype(np.float64), np.nan))
