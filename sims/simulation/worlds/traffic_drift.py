"""What people ask changes over time."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.simulation.scenario import Scenario, Stage, WorldError
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class TrafficDrift:
    """The same prompts come in another order: tasks one after another, or easy prompts before hard ones.

    No prompt is added or lost, so a run under drift and one without answer the same questions.
    """

    stage: ClassVar[Stage] = Stage.TRAFFIC
    strength: float = 0.5  # 0: shuffled; 1: strictly one after another
    by: str = "task"  # or "difficulty": mean quality over arms

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, strength=self.strength)
        if self.by not in ("task", "difficulty"):
            raise ValueError(f"by must be 'task' or 'difficulty', got {self.by!r}")

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario in the new order. Raises WorldError where no tasks are known."""
        shuffled = rng.random(scenario.n)
        sort_key = self._tasks(scenario, rng) if self.by == "task" else -scenario.quality.mean(axis=1)
        ranks = _ranks(sort_key, ties=shuffled)
        return scenario.reordered(np.argsort((1.0 - self.strength) * shuffled + self.strength * ranks, kind="stable"))

    @staticmethod
    def _tasks(scenario: Scenario, rng: np.random.Generator) -> Floats:
        """Return the place of each round's task in a random order of tasks, shape (n,)."""
        if len(set(scenario.tasks)) < 2:
            raise WorldError("TrafficDrift by task needs prompts of two tasks or more; by=difficulty needs none")
        names, number = np.unique(scenario.tasks, return_inverse=True)
        return rng.permutation(len(names))[number].astype(np.float64)


def _ranks(values: Floats, *, ties: Floats) -> Floats:
    """Return the rank of each value as a share of all, in [0, 1), shape (n,); equal ones in the order of `ties`."""
    ranks = np.empty(len(values))
    ranks[np.lexsort((ties, values))] = np.arange(len(values)) / len(values)
    return ranks
