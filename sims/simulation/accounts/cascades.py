"""Of a run under way: answers that are looked at, and what feedback on them teaches."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.cascade.gates import Gates
from highwayman.bandit.cascade.plan import CascadePlan, CascadeRules, LookedAt, StageChoice
from highwayman.bandit.cascade.teaching import first_arms_outcome, teach_gates
from highwayman.bandit.decision import Choice
from highwayman.bandit.policy import HasHalfLife, Policy
from highwayman.env.types import CascadeStage, Context, RewardChange
from highwayman.sims.simulation.scenario import Scenario


class SimulatedCascades:
    """Goes through the stages of every round, as a router does, and learns as a router's fold does."""

    def __init__(self, scenario: Scenario, contexts: Sequence[Context], rules: CascadeRules, rng: np.random.Generator):
        self._scenario, self._contexts, self._rng = scenario, contexts, rng
        self._columns = {arm: column for column, arm in enumerate(scenario.arms)}
        self._stages: dict[int, tuple[CascadeStage, ...]] = {}  # by round, as long as feedback may come
        self.plan = CascadePlan(rules, Gates())
        self.good = np.full(scenario.n, np.nan)  # of the answers served, (n,), as the gates say

    def with_options(self, policy: Policy, t: int, candidates: Candidates) -> Candidates:
        """Return round t's candidates for the decision, with what cascades are worth."""
        return self.plan.with_options(policy, self._contexts[t], candidates)

    def run(self, policy: Policy, t: int, choice: Choice, *, explores: bool) -> list[int]:
        """Return the arms asked in round t, in order, as columns of the scenario: the last one served."""
        context, candidates = self._contexts[t], choice.candidates
        options = candidates.options
        answers, stages = [self._answer(t, choice.arm)], []
        if options is None or not options[choice.draw.action] > 0.0:
            stages.append(self._staged(choice.arm, self.plan.seen(policy, context, answers[0])))
        else:
            while True:
                drawn = self.plan.next_stage(policy, context, candidates, answers, rng=self._rng, explores=explores)
                stages.append(self._staged(answers[-1].arm, drawn))
                if not drawn.went_on:
                    break
                answers.append(self._answer(t, drawn.next_arm))
        for stage in stages:
            self.plan.gates.on_look(stage.arm, stage.signals)
        self._stages[t], self.good[t] = tuple(stages), stages[-1].good
        return [self._columns[answer.arm] for answer in answers]

    def learn(self, policy: Policy, t: int, change: RewardChange) -> RewardChange:
        """Teach the gates feedback on round t's answer, and return what the policy is to be taught of it."""
        stages = self._stages.pop(t, None)
        if stages is None:
            return change
        half_life = policy.half_life if isinstance(policy, HasHalfLife) else None
        gates, sums = self.plan.gates, {"weight": change.weight, "weighted": change.weighted, "squared": change.squared}
        counts = gates.weigh(change.arm, change.at, new=True, half_life=half_life)
        teach_gates(gates, stages, change.arm, **sums, counts=counts)
        arm, quality = first_arms_outcome(stages, change.weighted / change.weight)
        return replace(change, arm=arm, weighted=change.weight * quality, squared=change.weight * quality**2)

    def _answer(self, t: int, arm: str) -> LookedAt:
        column = self._columns[arm]
        return LookedAt(arm, {name: float(values[t, column]) for name, values in self._scenario.signals.items()})

    @staticmethod
    def _staged(arm: str, stage: StageChoice) -> CascadeStage:
        return CascadeStage(arm, stage.signals, stage.good, stage.goes_on, stage.went_on, stage.next_arm)
