"""What another price would have done to shares and dollars at the newest decisions: a small replay."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.decision import ExplorationRules, decision_probs
from highwayman.bandit.policy import Policy
from highwayman.env.cost.objective import Objective
from highwayman.env.types import NO_EXPLORATION, Arm, ArmState, Decision, Floats, Mode
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.fold.tally_quotes import TallyQuotes

MOST_DECISIONS: Final = 500
_DRAWN: Final = frozenset({Mode.ROUTE, Mode.CASCADE})


@dataclass(slots=True)
class ArmEffect:
    """Sums over decisions: of an arm's probability, and of that times what a call is expected to cost."""

    share_before: float = 0.0
    share_after: float = 0.0
    usd_before: float = 0.0
    usd_after: float = 0.0
    usd_unmoved: float = 0.0  # at the other price, by the shares of before


@dataclass(slots=True)
class PricePreview:
    """What would have been at the decisions that can be decided anew, by arm."""

    decisions: int = 0
    left_out: int = 0  # nothing was drawn, or not among the pool's arms as it is, or on features of another encoder
    since: float = math.inf  # seconds since the epoch
    until: float = -math.inf
    arms: dict[str, ArmEffect] = field(default_factory=dict)

    @property
    def usd_before(self) -> float:
        """Expected dollars of a request, at the prices in force."""
        return math.fsum(effect.usd_before for effect in self.arms.values()) / max(self.decisions, 1)

    @property
    def usd_after(self) -> float:
        """Expected dollars of a request, at the other price."""
        return math.fsum(effect.usd_after for effect in self.arms.values()) / max(self.decisions, 1)

    @property
    def usd_unmoved(self) -> float:
        """Expected dollars of a request at the other price, had no share moved."""
        return math.fsum(effect.usd_unmoved for effect in self.arms.values()) / max(self.decisions, 1)


@dataclass(frozen=True, slots=True)
class Deciders:
    """What decides, for the preview alone: nothing here is shared with requests under way."""

    policy_for: Callable[[str], Policy]  # by tenant
    rules_for: Callable[[str], ExplorationRules]
    objective_for: Callable[[Decision], Objective | None]  # None: its alias is not known any more
    fingerprint: str  # of the encoder whose features the policies take


def preview_price(
    decisions: Sequence[Decision], arms: Sequence[Arm], changed: Arm, tally: Tally, *, deciders: Deciders
) -> PricePreview:
    """Return what the policies in force would have done at decisions, at the prices in force and at another one.

    Penalties are those on the log. What an arm's call is expected to cost more at the other price is added to its own,
    at the points per dollar of the request's alias; all else that they hold (seconds, energy, failures, a budget's
    pressure) stays as it was. An option that a cascade took off stays, too.

    Args:
        decisions: of the log.
        arms: of the pool, with the prices in force.
        changed: one of them, with the other price.
        tally: what is known of calls.
        deciders: what decides.
    """
    quotes, others = TallyQuotes(arms), TallyQuotes([changed if arm.name == changed.name else arm for arm in arms])
    quotes.follow(tally)
    others.follow(tally)
    places = {arm.name: place for place, arm in enumerate(arms)}
    probation = {arm.name for arm in arms if arm.state is ArmState.PROBATION}
    preview = PricePreview(arms={arm.name: ArmEffect() for arm in arms})
    for decision in decisions:
        objective = deciders.objective_for(decision)
        is_usable = (
            decision.mode in _DRAWN
            and objective is not None
            and places.keys() >= set(decision.arms)
            and decision.context.fingerprint == deciders.fingerprint
        )
        if not is_usable or objective is None:
            preview.left_out += 1
            continue
        own = [places[arm] for arm in decision.arms]
        usd, other_usd = (quote.estimates(decision.context).usd for quote in (quotes, others))
        moved = (objective.penalties(other_usd) - objective.penalties(usd))[own]
        spent = [tally.arms[arm].cost_usd if arm in probation and arm in tally.arms else None for arm in decision.arms]
        probation_usd = None if probation.isdisjoint(decision.arms) else spent
        before = Candidates(decision.arms, usd[own], decision.penalties, probation_usd)
        after = replace(before, usd=other_usd[own], penalties=decision.penalties + moved)
        _count(preview, decision, (before, after), deciders)
    return preview


def _count(
    preview: PricePreview, decision: Decision, candidates: tuple[Candidates, Candidates], deciders: Deciders
) -> None:
    """Add what would have been at one decision, at both prices."""
    before, after = candidates
    shares, others = (_probs(decision, way, deciders) for way in candidates)
    usd, other_usd = np.nan_to_num(before.usd), np.nan_to_num(after.usd)
    for k, name in enumerate(decision.arms):
        effect = preview.arms[name]
        effect.share_before += float(shares[k])
        effect.share_after += float(others[k])
        effect.usd_before += float(shares[k] * usd[k])
        effect.usd_after += float(others[k] * other_usd[k])
        effect.usd_unmoved += float(shares[k] * other_usd[k])
    preview.decisions += 1
    preview.since, preview.until = min(preview.since, decision.at), max(preview.until, decision.at)


def _probs(decision: Decision, candidates: Candidates, deciders: Deciders) -> Floats:
    return decision_probs(
        deciders.policy_for(decision.tenant),
        decision.context,
        candidates,
        deciders.rules_for(decision.tenant),
        explores=NO_EXPLORATION not in decision.context.flags,
        at=decision.at,
    )
