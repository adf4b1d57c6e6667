"""What a call may cost is set aside before it is made: in this process, and of a hard day for all of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from highwayman.bandit.candidates import Candidates
from highwayman.env.errors import BudgetExhausted
from highwayman.env.types import Decision
from highwayman.serving.completions.routing.day_claims import DayClaims
from highwayman.serving.completions.routing.route import Decided, Funds
from highwayman.serving.completions.routing.spend_tracker import SpendTracker

_CLAIMS = 5  # of the day's dollars for one request, where others are faster


@dataclass(slots=True)
class CallFunds:
    """Sets aside what calls may cost."""

    spend_tracker: SpendTracker
    claims: DayClaims | None = None  # of a hard day, for all processes; None: there is none

    def reserve(self, decision: Decision, candidates: Candidates, place: int) -> Funds | None:
        """Set aside what a call may cost, and return what it can at whichever arm; None without a hard ceiling."""
        tracker, most_usd = self.spend_tracker, candidates.most_usd
        most = math.nan if most_usd is None else float(most_usd[place])
        tracker.on_decision(decision, float(candidates.usd[place]), most)
        if not tracker.is_hard:
            return None
        first = candidates.arms[place]
        return Funds(
            tracker.most_usd(candidates),
            lambda arm: arm.name == first or tracker.may_ask_instead(decision.id, candidates, arm.name),
        )

    async def within_day(self, decide_now: Callable[[], Decided]) -> Decided:
        """Return a decision whose cost the day has left, all processes counted.

        Should others have claimed what this process took to be left, it decides anew by what is.

        Raises:
            BudgetExhausted: others are faster every time; and whatever `decide_now` raises.
        """
        left_usd = math.inf
        for _ in range(_CLAIMS):
            self.spend_tracker.left_usd = left_usd
            try:
                decided = decide_now()
            finally:
                self.spend_tracker.left_usd = math.inf
            if self.claims is None or decided.funds is None:
                return decided
            if await self._claims(self.claims, decided.decision, decided.funds):
                return decided
            left_usd = await self.claims.left_usd()
        raise BudgetExhausted("What the day's budget has left is claimed by other requests now; try again.")

    async def _claims(self, claims: DayClaims, decision: Decision, funds: Funds) -> bool:
        """Return whether the day has what a call can cost at most; it is as if it was not decided if not."""
        is_claimed = False
        try:
            is_claimed = await claims.claim(decision.id, funds.most_usd)
        finally:
            if not is_claimed:
                self.spend_tracker.on_given_back(decision)
        return is_claimed

    def give_back(self, decision: Decision) -> None:
        """Set nothing aside any more for a call that somebody else makes: it is charged once it is told."""
        self.spend_tracker.on_given_back(decision)
        if self.claims is not None:
            self.claims.give_back(decision.id)
