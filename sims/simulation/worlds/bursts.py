"""Requests come in bursts."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import SECONDS_PER_ROUND, Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class Bursts:
    """Arrivals cluster at the same mean rate: a delay spans more rounds within a burst, and fewer between two."""

    stage: ClassVar[Stage] = Stage.TRAFFIC
    size: float = 50.0  # requests in a burst, on average
    factor: float = 20.0  # how much faster than on average requests come within one

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(1.0, float("inf"), size=self.size, factor=self.factor)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with its rounds at other times."""
        within_s = SECONDS_PER_ROUND / self.factor
        between_s = self.size * SECONDS_PER_ROUND - (self.size - 1.0) * within_s
        starts_burst = rng.random(scenario.n) < 1.0 / self.size
        gaps = rng.exponential(1.0, scenario.n) * np.where(starts_burst, between_s, within_s)
        return scenario.replace(at=np.cumsum(gaps) - gaps[:1].sum())
