"""A judge scores each answer: often, on a scale, and with a taste of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class Judge:
    """The score is quality plus its bias for the arm plus noise, clipped to [0, 1]."""

    stage: ClassVar[Stage] = Stage.FEEDBACK
    rate: float = 1.0  # probability that an answer is judged
    noise: float = 0.1  # standard deviation
    bias: Mapping[str, float] = field(default_factory=dict)  # by arm; 0 for the others

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, rate=self.rate)
        check_range(0.0, float("inf"), noise=self.noise)
        check_range(-1.0, 1.0, **{f"bias[{arm}]": value for arm, value in self.bias.items()})

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with the judge's verdicts as its feedback."""
        verdict = scenario.quality + self.noise * rng.standard_normal(scenario.quality.shape)
        for arm, value in self.bias.items():
            verdict[:, scenario.column(arm)] += value
        judged = rng.random(verdict.shape) < self.rate
        return scenario.replace(feedback=np.where(judged, np.clip(verdict, 0.0, 1.0), np.nan))
