"""Feedback comes late, and some of it too late."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_positive, check_range


@dataclass(frozen=True, slots=True)
class Delay:
    """Feedback comes an exponentially or log-normally distributed time after the answer."""

    stage: ClassVar[Stage] = Stage.SILENCE
    mean_s: float = 600.0  # of all delays, also of those beyond the window
    sigma: float | None = None  # standard deviation of the log: log-normal; None: exponential
    window_s: float | None = None  # what would come later never comes

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, float("inf"), mean_s=self.mean_s, sigma=self.sigma)
        check_positive(window_s=self.window_s)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with delays added to those it has, and without feedback from beyond the window."""
        shape = scenario.feedback.shape
        if self.sigma is None:
            relative_delay = rng.exponential(1.0, shape)
        else:
            relative_delay = np.exp(self.sigma * rng.standard_normal(shape) - self.sigma**2 / 2)
        delay_s = scenario.delay_s + self.mean_s * relative_delay
        if self.window_s is None:
            return scenario.replace(delay_s=delay_s)
        return scenario.replace(delay_s=delay_s, feedback=np.where(delay_s <= self.window_s, scenario.feedback, np.nan))
