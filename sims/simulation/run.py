"""What a policy did on a scenario, round by round, and what it was truly worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Context, Floats
from highwayman.sims.logs.logged import Bools, Indices, LoggedData
from highwayman.sims.simulation.scenario import Scenario


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """n rounds over K arms. The methods take the scenario it ran on, which it does not keep."""

    actions: Indices  # (n,) index into the scenario's arms
    propensities: Floats  # (n,) probability of the action, after the floor
    probs: Floats  # (n, K) what was drawn from, after the floor; 0 where not eligible
    penalties: Floats  # (n, K) what the objective says arms cost, in quality units; less what prompt caches saved
    pressures: Floats  # (n, K) what the pacer added to that to hold a budget, in quality units
    saved_usd: Floats  # (n,) what prompt caches saved of the dollars that calls cost
    corrections: Floats  # (n, K) by how much penalties were decided with that were larger, as predicted by prompt
    # (n, K) whether the arm was asked, (n,) whose answer was served, and the probability that it was good, as the gate
    # said; None: all that was asked is the action.
    asked: Bools | None = None
    served: Indices | None = None
    good: Floats | None = None

    @property
    def n(self) -> int:
        """The number of rounds."""
        return len(self.actions)

    def taken(self, values: Floats) -> Floats:
        """Return the entries of `values` (n, K) for the arms that were chosen, shape (n,)."""
        taken: Floats = values[np.arange(self.n), self.actions]
        return taken

    def quality(self, scenario: Scenario) -> Floats:
        """Return what each answer was truly worth, shape (n,), in [0, 1]."""
        if self.served is None:
            return self.taken(scenario.quality)
        quality: Floats = scenario.quality[np.arange(self.n), self.served]
        return quality

    def cost_usd(self, scenario: Scenario) -> Floats:
        """Return what each request was metered at, shape (n,), all its calls; NaN: no price."""
        if self.asked is None:
            return self.taken(scenario.cost_usd) - self.saved_usd
        cost: Floats = np.where(self.asked, scenario.cost_usd, 0.0).sum(axis=1) - self.saved_usd
        return cost

    def utility(self, scenario: Scenario) -> Floats:
        """Return quality minus the objective's penalties of arms asked, shape (n,), without the pacer's pressure."""
        if self.asked is None:
            return self.taken(self.utilities(scenario))
        utility: Floats = self.quality(scenario) - np.where(self.asked, self.penalties, 0.0).sum(axis=1)
        return utility

    def best_utility(self, scenario: Scenario) -> Floats:
        """Return the utility of the best arm in the pool, known beforehand for each single prompt, shape (n,)."""
        best: Floats = np.where(scenario.available, self.utilities(scenario), -np.inf).max(axis=1)
        return best

    def regret(self, scenario: Scenario) -> Floats:
        """Return what the best arm in the pool would have been better by, shape (n,), >= 0."""
        return self.best_utility(scenario) - self.utility(scenario)

    def utilities(self, scenario: Scenario) -> Floats:
        """Return quality minus the objective's penalty of every arm, shape (n, K)."""
        return scenario.quality - self.penalties

    def logged(self, scenario: Scenario, contexts: Sequence[Context]) -> LoggedData:
        """Return the run as a log, once all feedback that ever comes has come.

        Args:
            scenario: the one it ran on.
            contexts: of the table's prompts. A prompt that comes again is of the same session: its qualities are the
                same, so these rounds are not independent.

        Raises:
            ValueError: answers were looked at, and others asked: that is no log of a bandit.
        """
        if self.served is not None:
            raise ValueError("a run with cascades is no bandit log: its rewards are not those of the actions drawn")
        eligible = self.probs > 0
        return LoggedData(
            arms=scenario.arms,
            contexts=np.stack([context.features for context in contexts])[scenario.rows],
            eligible=eligible,
            actions=self.actions,
            propensities=self.propensities,
            rewards=self.taken(scenario.feedback),
            costs_usd=self.cost_usd(scenario),
            penalties=np.where(eligible, self.penalties + self.corrections + self.pressures, 0.0),
            sessions=scenario.rows.astype(np.int64),
            at=scenario.at,
            encoder=contexts[0].fingerprint,
        )
