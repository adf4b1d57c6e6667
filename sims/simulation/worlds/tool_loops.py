"""Some requests come from the middle of a tool loop."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class ToolLoops:
    """A share of the requests carries a tool's result: nothing is tried out in their rounds."""

    stage: ClassVar[Stage] = Stage.TRAFFIC
    share: float = 0.2  # of the requests, drawn

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, share=self.share)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario with a share of its requests in a tool loop."""
        return scenario.replace(in_tool_loop=rng.random(scenario.n) < self.share)
