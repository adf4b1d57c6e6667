"""The decision core: from the arms that may answer, and what they are expected to cost, to the arm drawn.

The router calls it for every request, the simulator for every round, a replay for every decision of a log. It knows
neither the log nor a clock; what keeps account of dollars (a budget, a cap on exploration) is passed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast

import numpy as np

from highwayman.bandit.candidates import (
    BudgetRule,
    Candidates,
    RequestLimits,
    meeting_min_quality,
    with_failures,
    within_budget,
    within_max_usd,
)
from highwayman.bandit.control_slice import ControlSlice
from highwayman.bandit.draw import Draw, Floor, draw, mix, one_hot_argmax
from highwayman.bandit.exploration_cap import ExplorationCap, mix_with_greedy
from highwayman.bandit.policy import Policy, PredictsQuality, QuantifiesQuality
from highwayman.bandit.priced_floor import priced_floor
from highwayman.bandit.probation import ProbationQuota, with_minimums
from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import Context, ControlDraw, Floats

Dial = Mapping[str, float]  # by arm: what a policy counts beyond the penalties on the log, as it has a dial of its own


@dataclass(frozen=True, slots=True)
class ChallengerShare:
    """A policy that has a share of the traffic, drawn request by request: what is drawn from is the exact mixture."""

    policy: Policy
    share: float  # in (0, 1)
    floor: float | None = None  # its own, with `floor_loss`; None: whoever else decides lends his
    floor_loss: float | None = None
    dial: Dial | None = None  # its own, with the floor; None: that of the request


@dataclass(frozen=True, slots=True)
class ExplorationRules:
    """How much a router tries out."""

    floor: float  # share of every decision's probability spread evenly over the candidates, at most
    quota: ProbationQuota = field(default_factory=ProbationQuota)  # of arms on probation, whatever the policy thinks
    cap: ExplorationCap | None = None  # counts what it grants; None: exploration may cost what it does
    # Expected quality minus penalty that the floor may lose a request; None: it is spread evenly, whatever is lost.
    floor_loss: float | None = None
    # Takes its share of the draws beside all of these, from the arms that limits and budget leave; none where callers
    # want no exploration.
    control: ControlSlice | None = None
    dial: Dial | None = None  # that of the policy; None: it goes by the penalties on the log
    challenger: ChallengerShare | None = None  # decides for a share of the requests that may explore

    def floor_for(self, policy: Policy, features: Floats, arms: Sequence[str], penalties: Floats) -> Floor:
        """Return the floor of one decision, features (d,) and penalties (K,), or of m, (m, d) and (m, K).

        Even where the policy does not say how sure it is of what it expects.
        """
        if self.floor_loss is None or not _quantifies_quality(type(policy)):
            return self.floor
        return self.floor_by(*cast(QuantifiesQuality, policy).quality_and_deviation(features, arms), penalties)

    def floor_by(self, quality: Floats, deviations: Floats, penalties: Floats) -> Floor:
        """Return the floor for what a policy expects, and its deviations, all (K,) or all (m, K)."""
        if self.floor_loss is None:
            return self.floor
        return priced_floor(quality, deviations, penalties, floor=self.floor, max_loss=self.floor_loss)


@cache
def _quantifies_quality(kind: type) -> bool:
    """Return whether policies of a class do: to look through a protocol takes as long as half a decision."""
    return issubclass(kind, QuantifiesQuality)


@quick_dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """An arm drawn, and the candidates that were left to draw from."""

    candidates: Candidates  # with the budget's penalties and those of failures among theirs
    draw: Draw
    control: ControlDraw | None = None  # None: no control slice took part

    @property
    def arm(self) -> str:
        """The name of the arm drawn."""
        return self.candidates.arms[self.draw.action]


def decide(
    policy: Policy,
    context: Context,
    candidates: Candidates,
    rules: ExplorationRules,
    *,
    limits: RequestLimits,
    at: float,
    rng: np.random.Generator,
    budget: BudgetRule | None = None,
) -> Choice:
    """Return the arm drawn, with the exact probability of each that could have been.

    Args:
        policy: says how probable each arm is.
        context: of the query.
        candidates: the arms that can answer it.
        rules: of exploration.
        limits: the caller's.
        at: seconds since the epoch.
        rng: gives one uniform number.
        budget: bars arms, and makes dear ones dearer; None: there is none.

    Raises:
        NoEligibleArm: no candidate is expected to cost as little as the caller allows.
        BudgetExhausted: the budget bars every one of them.
    """
    if limits.max_usd is not None:
        candidates = within_max_usd(candidates, limits.max_usd)
    if budget is not None:
        candidates = within_budget(candidates, budget)
    if limits.min_quality is not None:
        candidates = meeting_min_quality(candidates, policy, context, limits.min_quality)
    if budget is not None:
        candidates = replace(candidates, penalties=candidates.penalties + budget.penalties(candidates.usd))
    if candidates.chances is not None:
        candidates = with_failures(candidates, policy, context)
    probs, floor = unmixed_probs(policy, context, candidates, rules, explores=limits.explore, at=at)
    control = rules.control
    baseline = None if control is None or not limits.explore else control.baseline_probs(candidates.arms)
    if control is None or baseline is None:
        return Choice(candidates, draw(probs, floor=floor, rng=rng))
    drawn, control_draw = control.draw(mix(probs, floor=floor), baseline, rng=rng)
    return Choice(candidates, drawn, control_draw)


def decision_probs(
    policy: Policy, context: Context, candidates: Candidates, rules: ExplorationRules, *, explores: bool, at: float
) -> Floats:
    """Return the probability with which `decide` draws each of candidates that all limits leave, shape (K,)."""
    candidates = with_failures(candidates, policy, context)
    probs, floor = unmixed_probs(policy, context, candidates, rules, explores=explores, at=at)
    return mix(probs, floor=floor)


def unmixed_probs(
    policy: Policy, context: Context, candidates: Candidates, rules: ExplorationRules, *, explores: bool, at: float
) -> tuple[Floats, Floor]:
    """Return a distribution (K,) and the floor to mix it with: with all exploration, with a share of it, or without.

    Without, 1 stands at the policy's most probable arm and the floor is 0. Quotas of arms on probation hold beneath a
    cap, too: their dollars have a cap of their own.
    """
    if not explores:
        return one_hot_argmax(policy.probs(context, candidates.arms, _dialled(candidates, rules.dial))), 0.0
    wanted, floor = _probs_and_floor(policy, context, candidates, rules)
    if rules.challenger is not None:
        wanted, floor = _with_challenger(rules.challenger, wanted, floor, context, candidates=candidates, rules=rules)
    minimums = None if candidates.probation_usd is None else rules.quota.minimums(candidates.probation_usd)
    probs = wanted if minimums is None else with_minimums(wanted, minimums)
    if rules.cap is None:
        return probs, floor
    utilities = None
    if isinstance(policy, PredictsQuality):
        utilities = policy.expected_quality(context, candidates.arms) - candidates.penalties
    greedy = one_hot_argmax(wanted if utilities is None else utilities)
    share = rules.cap.share(
        mix(wanted, floor=floor), int(greedy.argmax()), usd=candidates.usd, utilities=utilities, at=at
    )
    greedy = greedy if minimums is None else with_minimums(greedy, minimums)
    return mix_with_greedy(probs, greedy, floor=floor, share=share)


def _dialled(candidates: Candidates, dial: Dial | None) -> Floats:
    """Return the penalties (K,) that a policy decides by."""
    if dial is None:
        return candidates.penalties
    shifted: Floats = candidates.penalties + np.array([dial.get(arm, 0.0) for arm in candidates.arms])
    return shifted


def _with_challenger(
    challenger: ChallengerShare,
    wanted: Floats,
    floor: Floor,
    context: Context,
    *,
    candidates: Candidates,
    rules: ExplorationRules,
) -> tuple[Floats, Floor]:
    """Return the mixture with a challenger's distribution, (K,), and the floor that is left to mix it with."""
    share, policy = challenger.share, challenger.policy
    if challenger.floor is None:
        return (1.0 - share) * wanted + share * policy.probs(context, candidates.arms, candidates.penalties), floor
    own = replace(rules, floor=challenger.floor, floor_loss=challenger.floor_loss, dial=challenger.dial)
    others, other_floor = _probs_and_floor(policy, context, candidates, own)
    return (1.0 - share) * mix(wanted, floor=floor) + share * mix(others, floor=other_floor), 0.0


def _probs_and_floor(
    policy: Policy, context: Context, candidates: Candidates, rules: ExplorationRules
) -> tuple[Floats, Floor]:
    arms = candidates.arms
    penalties = candidates.penalties if rules.dial is None else _dialled(candidates, rules.dial)
    if rules.floor_loss is None or not _gives_beliefs(type(policy)):
        return policy.probs(context, arms, penalties), rules.floor_for(policy, context.features, arms, penalties)
    beliefs: Any = policy  # to `cast` is a call, too
    probs, quality, deviations = beliefs.probs_and_beliefs(context, arms, penalties)
    return probs, priced_floor(quality, deviations, penalties, floor=rules.floor, max_loss=rules.floor_loss)


@cache
def _gives_beliefs(kind: type) -> bool:
    """Return whether policies of a class do: whether what defines `probs` last defines `probs_and_beliefs` with it."""
    last = next((base for base in kind.__mro__ if "probs" in vars(base)), kind)
    return "probs_and_beliefs" in vars(last)
