"""A law says which arms may have which requests, and at noon it changes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from highwayman.sims.logs.logged import Bools
from highwayman.sims.simulation.scenario import Scenario, Stage, WorldError
from highwayman.sims.simulation.worlds.limits import check_range


@dataclass(frozen=True, slots=True)
class Regulation:
    """Some requests are confidential, and may go to some of the arms only: to others before a point of the run.

    As in production, an arm that may not have a request is not asked, and stays in the pool for the others: what was
    learned of it is kept. Who is confidential is drawn, whatever the prompt is, or is all of one task.
    """

    stage: ClassVar[Stage] = Stage.PRICE_LIST
    share: float = 0.3  # of the requests that are confidential, among those of the task if one is given
    task: str = ""  # whose requests alone may be; empty: any
    allowed: str = "cheapest"  # arms, one or several with ; between, that may have them from then on
    allowed_before: str = ""  # and until then; empty: all
    from_share: float = 0.5  # of the run

    def __post_init__(self) -> None:
        """Raise ValueError for a parameter that cannot be."""
        check_range(0.0, 1.0, share=self.share, from_share=self.from_share)

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario in which confidential requests are kept from arms. Raises WorldError."""
        confidential = rng.random(scenario.n) < self.share  # (n,)
        if self.task:
            if self.task not in scenario.tasks:
                raise WorldError(f"Regulation: no prompt is of the task {self.task!r}")
            confidential &= np.array(scenario.tasks) == self.task
        barred = np.zeros(scenario.available.shape, dtype=np.bool_)
        for rounds, arms in (
            (scenario.between(0.0, self.from_share), self.allowed_before),
            (scenario.between(self.from_share), self.allowed),
        ):
            barred[rounds] = confidential[rounds, None] & ~self._may(scenario, arms)
        barred &= scenario.available
        kept = barred if scenario.barred is None else barred | scenario.barred
        return scenario.replace(available=scenario.available & ~barred, barred=kept)

    @staticmethod
    def _may(scenario: Scenario, arms: str) -> Bools:
        """Return which arms may have what is confidential, (K,)."""
        may: Bools = np.full(len(scenario.arms), not arms)
        for arm in filter(None, arms.split(";")):
            may[scenario.column(arm.strip())] = True
        return may
