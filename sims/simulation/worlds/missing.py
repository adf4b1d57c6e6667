"""Most answers never get any feedback, and which ones do is not left to chance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_range

_BAD_BELOW = 0.5


@dataclass(frozen=True, slots=True)
class Missing:
    """Feedback is given with a probability that depends on the arm and on its value."""

    stage: ClassVar[Stage] = Stage.SILENCE
    rate: float = 0.05  # probability that there is any feedback
    rate_when_bad: float | None = None  # where its value would be below 0.5; None: the same
    factors: Mapping[str, float] = field(default_factory=dict)  # on both rates, by arm

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, rate=self.rate, rate_when_bad=self.rate_when_bad)
        check_range(0.0, float("inf"), **{f"factors[{arm}]": factor for arm, factor in self.factors.items()})

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario without part of its feedback."""
        when_bad = self.rate if self.rate_when_bad is None else self.rate_when_bad
        rates = np.where(scenario.feedback < _BAD_BELOW, when_bad, self.rate)
        for arm, factor in self.factors.items():
            rates[:, scenario.column(arm)] *= factor
        return scenario.replace(feedback=np.where(rng.random(rates.shape) < rates, scenario.feedback, np.nan))
