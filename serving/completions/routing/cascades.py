"""Which requests may be answered by a cascade, what that is worth at each arm, and whether another arm is asked."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from highwayman.bandit.candidates import BudgetRule, Candidates, RequestLimits, with_failures
from highwayman.bandit.cascade.gates import Gates
from highwayman.bandit.cascade.plan import CascadePlan, CascadeRules, LookedAt, StageChoice
from highwayman.bandit.decision import Choice
from highwayman.bandit.policy import Policy
from highwayman.env.cost.objective import POINT, Objective
from highwayman.env.types import Context, Floats
from highwayman.serving.completions.calls.signal_reader import SignalReader
from highwayman.serving.completions.conversations.continuation import Continuation
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.completions.requests.routing_options import RoutingOptions

# Share of answers that are looked at with all further calls though no cascade is worth it: what such a signal tells is
# not learned otherwise, and so it would never be worth its calls.
_TRIED = 0.05


@dataclass(frozen=True, slots=True)
class Cascades:
    """What a router's cascades have in common."""

    rules: CascadeRules
    gates: Callable[[str], Gates]  # those in force for a tenant
    reader: SignalReader
    aliases: frozenset[str]  # whose requests may be answered by one
    rng: np.random.Generator
    # Told what all stages are expected to come to, and what they can at most (NaN: nobody can tell).
    on_next_stage: Callable[[str, float, float], None] = lambda decision_id, usd, most_usd: None

    def offer(self, request: CompletionRequest, options: RoutingOptions, tenant: str) -> "CascadeOffer | None":
        """Return what a tenant's request may be answered with, None where its caller or its kind forbids it."""
        is_single = request.chat and request.body.get("n") in (None, 1)
        if options.cascade is False or not is_single or request.query.in_tool_loop:
            return None
        return CascadeOffer(self, CascadePlan(self.rules, self.gates(tenant)), request.stream)


@dataclass(frozen=True, slots=True)
class CascadeOffer:
    """A cascade for one request, if one is worth it."""

    cascades: Cascades
    plan: CascadePlan
    streams: bool  # whether the client wants to read while the answer is written

    def serves(self, alias: str, continuation: Continuation) -> bool:
        """Return whether a request may be answered by it: no tool's result is read by two arms."""
        in_between = continuation.reads_tool_result or continuation.is_client_task
        return alias in self.cascades.aliases and not in_between

    def options(
        self,
        policy: Policy,
        context: Context,
        candidates: Candidates,
        objective: Objective,
        *,
        budget: BudgetRule | None,
        waiting_s: Floats | None,
    ) -> Floats:
        """Return what it is worth to look at each one's answer before it is passed on, (K,), in quality units.

        Args:
            policy: says what quality it expects.
            context: of the query.
            candidates: the arms that may answer.
            objective: what seconds are worth.
            budget: makes dear arms dearer; None: there is none.
            waiting_s: seconds until a client that would read along sees each one's answer, (K,); None: they are free.
        """
        penalties = candidates.penalties if budget is None else candidates.penalties + budget.penalties(candidates.usd)
        priced = with_failures(replace(candidates, penalties=penalties), policy, context)
        looking = self._further_calls(priced)
        if waiting_s is not None:
            looking = looking + POINT * objective.points_per_s * waiting_s
        return self.plan.option_values(policy, context, priced, looking=looking, explores=objective.explore)

    def route(
        self, policy: Policy, context: Context, choice: Choice, *, limits: RequestLimits, budget: BudgetRule | None
    ) -> "CascadeRoute":
        """Return what the stages after the first are decided with, once that was drawn."""
        reader, rng = self.cascades.reader, self.cascades.rng
        asks = self.plan.rules.threshold is None and limits.explore and bool(reader.asking)
        tries = asks and rng.random() < _TRIED
        return CascadeRoute(
            self.plan,
            reader,
            rng,
            policy,
            context,
            choice.candidates,
            limits,
            budget,
            tries,
            self.cascades.on_next_stage,
        )

    def _further_calls(self, priced: Candidates) -> Floats:
        """Return what the calls of signals that ask take at each arm's answer, (K,), in quality units."""
        penalties, total = dict(zip(priced.arms, priced.penalties.tolist(), strict=True)), np.zeros(len(priced.arms))
        dearest = max(penalties.values())
        for signal in self.cascades.reader.asking:
            total = total + signal.calls * (penalties.get(signal.asks, dearest) if signal.asks else priced.penalties)
        return np.maximum(total, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class CascadeRoute:
    """One request's cascade, after its first arm was drawn."""

    plan: CascadePlan
    reader: SignalReader
    rng: np.random.Generator
    policy: Policy
    context: Context
    candidates: Candidates  # as `decide` left them
    limits: RequestLimits  # hold for all stages together
    budget: BudgetRule | None
    tries: bool  # whether the answer is looked at, with further calls, though nothing says that it is worth it
    on_next_stage: Callable[[str, float, float], None]

    @property
    def is_open(self) -> bool:
        """Whether anything but the first arm's answer may come of it, whoever that is."""
        return self.tries or (self.candidates.options is not None and bool(self.candidates.options.any()))

    def looks_at(self, arm: str, *, answered: Collection[str]) -> bool:
        """Return whether an arm's answer is looked at before it is passed on, after those of others."""
        names, options = self.candidates.arms, self.candidates.options
        if answered:
            return len(answered) + 1 < self.plan.rules.max_stages and bool(set(names) - {arm, *answered})
        return self.tries or (options is not None and arm in names and bool(options[names.index(arm)] > 0))

    def next_stage(
        self, answered: Sequence[LookedAt], *, spent_usd: float, failed: Collection[str] = ()
    ) -> StageChoice:
        """Return whether the last answer is served or another arm is asked: none that failed or is too dear by now."""
        candidates, asked = self.candidates, {answer.arm for answer in answered}
        left = np.array([arm not in failed for arm in candidates.arms])
        if self.limits.max_usd is not None:
            left &= candidates.usd <= self.limits.max_usd - spent_usd  # False where NaN
        if self.budget is not None:
            left &= ~self.budget.over_budget(candidates.usd, candidates.most_usd)
        left |= np.array([arm in asked for arm in candidates.arms])
        return self.plan.next_stage(
            self.policy,
            self.context,
            candidates.where(left),
            answered,
            rng=self.rng,
            explores=self.limits.explore,
        )

    def may_ask(self, arm: str, calls: int, *, spent_usd: float) -> bool:
        """Return whether an arm may be called about an answer: each call at what its answers are expected to cost."""
        names, most_usd = self.candidates.arms, self.limits.max_usd
        if arm not in names:
            return most_usd is None  # else it may be one that the caller finds too dear
        usd = calls * self.candidates.usd[names.index(arm) : names.index(arm) + 1]
        if most_usd is not None and not usd[0] <= most_usd - spent_usd:  # NaN: nobody knows
            return False
        return self.budget is None or not self.budget.over_budget(usd).any()

    def reserve(self, decision_id: str, next_arm: str, *, spent_usd: float) -> None:
        """Tell the budget what a request comes to whose next arm is asked now."""
        place, most_usd = self.candidates.arms.index(next_arm), self.candidates.most_usd
        usd = float(self.candidates.usd[place])
        most = math.nan if most_usd is None else float(most_usd[place])
        self.on_next_stage(decision_id, spent_usd + (usd if usd > 0 else 0.0), spent_usd + most)  # NaN: without a price

    def seen(self, answer: LookedAt) -> StageChoice:
        """Return the stage of an answer that was passed on as it came."""
        return self.plan.seen(self.policy, self.context, answer)
