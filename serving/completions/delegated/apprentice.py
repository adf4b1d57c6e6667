"""Challengers of another router: one of them may have a share of its decisions, or has taken them over."""

from dataclasses import dataclass, replace

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.decision import ExplorationRules, decision_probs
from highwayman.bandit.draw import draw_from_mixture
from highwayman.env.types import ONLY_DRAWN, TOLD, Decision
from highwayman.serving.completions.routing.router import Router


@dataclass(frozen=True, slots=True)
class Apprentice:
    """Says who decides where another router has chosen, by the ramp of a tournament whose champion that router is."""

    router: Router
    champion: str  # as the tournament is configured

    @property
    def decides(self) -> bool:
        """Whether a challenger has taken the other router's place: what that one chose is not asked any more."""
        return self.champion == TOLD and self.router.ramp.ramp.champion != TOLD

    def shared(self, decision: Decision) -> Decision:
        """Return a told decision as the other router took it, or for its share of them as the challenger does.

        Either way the probabilities are the mixture's. Where only one propensity is known there is none; nor with a
        challenger that has a dial of its own, as what each arm costs by it is not known here.
        """
        ramp = self.router.ramp
        is_known = ONLY_DRAWN not in decision.context.flags and ramp.ramp.challenger not in ramp.objectives
        if ramp.ramp.champion != TOLD or not is_known:
            return decision
        challenger = ramp.rules_for(decision.tenant, self.router.rules).challenger
        if challenger is None:
            return decision
        floor = self.router.rules.floor if challenger.floor is None else challenger.floor
        probs = decision_probs(
            challenger.policy,
            decision.context,
            Candidates(decision.arms, np.full(len(decision.arms), np.nan), decision.penalties),
            ExplorationRules(floor, floor_loss=challenger.floor_loss),
            explores=True,
            at=decision.at,
        )
        # What the other router drew is its part of the mixture's draw.
        its_own = np.eye(len(decision.arms))[decision.action]
        shares = np.array([1.0 - challenger.share, challenger.share])
        drawn, _ = draw_from_mixture(np.stack([its_own, probs]), shares, rng=self.router.rng)
        mixed = (1.0 - challenger.share) * decision.probs + challenger.share * probs
        return replace(
            decision,
            probs=mixed,
            action=drawn.action,
            propensity=float(mixed[drawn.action]),
            policy=f"{TOLD}+{ramp.ramp.challenger}@{challenger.share:g}",
        )
