"""Answers tell something of whether they are good: a signal, as sharp as one likes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class Confidence:
    """The signal lies in [0, 1]: the logistic function of `separation` (quality - 1/2), an arm's bias and normal noise.

    The noise has deviation 1, so answers that are wholly good and wholly bad are `separation` of them apart: a good one
    has the larger signal with probability Phi(separation / sqrt 2), which is 50% at 0, 76% at 1, 92% at 2, 99.8% at 4.
    Several of them, under names of their own, are independent of each other given the quality.
    """

    stage: ClassVar[Stage] = Stage.CONFIDENCE
    separation: float = 1.0
    signal: str = "verified"
    bias: Mapping[str, float] = field(default_factory=dict)  # by arm, in standard deviations; 0 for the others

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 100.0, separation=self.separation)
        check_range(-100.0, 100.0, **{f"bias[{arm}]": value for arm, value in self.bias.items()})
        if not self.signal:
            raise ValueError("signal must be a name, got none")

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with this signal of every answer beside those it has."""
        level = self.separation * (scenario.quality - 0.5) + rng.standard_normal(scenario.quality.shape)
        for arm, value in self.bias.items():
            level[:, scenario.column(arm)] += value
        return scenario.replace(signals={**scenario.signals, self.signal: 1.0 / (1.0 + np.exp(-level))})
