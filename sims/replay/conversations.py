"""Which decisions of a log belong together: those of a person, those of a conversation, those one statement speaks of.

Rewards of one conversation are not independent, whether or not a user is named. And a statement on a whole conversation
speaks of every draw in it, so what another policy would have earned there takes all of their ratios.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from highwayman.env.reward import FeedbackStatus, RewardContribution
from highwayman.env.types import Decision, Feedback

_MOST = 1e50  # of a product of ratios; that one round carries all the weight can be seen long before
_STATEMENTS = 10_000  # remembered while copies of one may follow: those on several answers are filed together


class SharedStatements:
    """Finds the statements of a log that speak of several decisions: each has its copy, under the same id."""

    def __init__(self) -> None:
        self.decisions: dict[str, tuple[str, ...]] = {}  # by statement, of those on more than one
        self._recent: OrderedDict[str, str] = OrderedDict()

    def add(self, statement: Feedback) -> None:
        """Take the next statement of the log."""
        first = self._recent.setdefault(statement.id, statement.decision_id)
        if first != statement.decision_id:
            known = self.decisions.get(statement.id, (first,))
            self.decisions[statement.id] = tuple(dict.fromkeys((*known, statement.decision_id)))
        if len(self._recent) > _STATEMENTS:
            self._recent.popitem(last=False)


class SessionAssigner:
    """Gives every decision its session, and every reward the ratio of the other draws that it speaks of."""

    def __init__(self, shared: Mapping[str, tuple[str, ...]], *, kept_s: float, turn_links: bool) -> None:
        """Start before the log.

        Args:
            shared: the decisions of each statement that speaks of several.
            kept_s: seconds after which a name that came no more is forgotten.
            turn_links: whether a decision's last link names its turn: conversations that begin alike share it.
        """
        self._shared = shared
        self._first = {name: decisions[0] for decisions in shared.values() for name in decisions}
        self._ratios: dict[str, float] = {}  # of the draws that shared statements speak of
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()  # by link, and when it came last
        self._kept_s = kept_s
        self._turn_links = turn_links

    def session(self, decision: Decision) -> int:
        """Return a number for the person, where none is named for the conversation, else for the decision alone."""
        links = decision.links[:-1] if self._turn_links else decision.links
        known = next((self._sessions[link][0] for link in links if link in self._sessions), "")
        name = decision.user or known or self._first.get(decision.id, decision.id)
        for link in links:
            self._sessions[link] = name, decision.at
            self._sessions.move_to_end(link)
        while self._sessions and next(iter(self._sessions.values()))[1] < decision.at - self._kept_s:
            self._sessions.popitem(last=False)
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)

    def on_draw(self, decision: Decision, ratio: float) -> None:
        """Take how much likelier the policy in question makes what was drawn; not called where nothing was."""
        if decision.id in self._first:
            self._ratios[decision.id] = ratio

    def others(self, decision: Decision, contributions: Iterable[RewardContribution]) -> tuple[float, int]:
        """Return the product of the ratios of the other draws that the decision's reward speaks of, and their number.

        Per-trajectory importance sampling (Precup, Sutton & Singh, "Eligibility Traces for Off-Policy Policy
        Evaluation", ICML 2000). Turns that were not drawn are taken to follow as they did.
        """
        counting = [part for part in contributions if part.status is FeedbackStatus.COUNTS]
        names = {name for part in counting for name in self._shared.get(part.feedback.id, ())} - {decision.id}
        ratios = [self._ratios[name] for name in names if name in self._ratios]
        return min(math.prod(ratios), _MOST), len(ratios)
