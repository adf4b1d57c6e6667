"""What calls under way and ended mean for the next decision: what is left of the budget, and who is busy."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from highwayman.bandit.candidates import Candidates
from highwayman.env.cost.budget import BudgetStanding, SpendLimits, TenantBudget
from highwayman.env.cost.spend_ledger import SpendLedger, day_of
from highwayman.env.load.queueing import LatencyLine, QueueState
from highwayman.env.types import Decision, Floats, Outcome, Status
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.event_id import EventId, sort_key

_PRESSURE_EVERY_S = 60.0  # between two that are kept
_PRESSURES_KEPT = 1440  # a day of them, where calls end all the time


class SpendTracker:
    """Of one router process, which knows what all of them have spent today as far as the learner has published it.

    The mean per request each process holds for its own calls; so all of them together do.
    """

    def __init__(self, ceilings: SpendLimits, clock: Callable[[], float]) -> None:
        """Take the ceilings, none of which need be set, and the clock, seconds since the epoch."""
        self._ledger = SpendLedger()
        self._budget = TenantBudget(ceilings, self._ledger)
        self.follow(ceilings)
        self._clock = clock
        self._busy: Counter[str] = Counter()
        self._promised_usd: defaultdict[str, float] = defaultdict(float)  # by arm, of calls under way
        self._expected: dict[str, tuple[str, float, int]] = {}  # by decision: arm intended, dollars, calls before it
        self._latencies: defaultdict[str, LatencyLine] = defaultdict(LatencyLine)  # by arm
        self._tally = Tally()
        self._standings: deque[tuple[float, BudgetStanding]] = deque(maxlen=_PRESSURES_KEPT)
        self.left_usd = math.inf  # of the day, for all processes, as far as one of them was told just now

    def standing(self) -> BudgetStanding:
        """Return where the budget stands now, as this process knows it."""
        return self._budget.standing(at=self._clock())

    def standings(self) -> Sequence[tuple[float, BudgetStanding]]:
        """Return where the budget stood as calls ended, a minute apart at least, with the seconds since the epoch."""
        return tuple(self._standings)

    def follow(self, ceilings: SpendLimits) -> None:
        """Go on with other ceilings."""
        self._budget.follow(ceilings)
        is_limited = ceilings.usd_per_request is not None or ceilings.usd_per_day is not None
        # What says which arms the budget pays for: this, if there is any ceiling.
        self.rule: SpendTracker | None = self if is_limited else None
        # Whether a hard ceiling makes a difference of what calls can cost at most.
        self.is_hard = ceilings.hard and is_limited

    def in_flight(self, arm: str) -> int:
        """Return how many calls meant for the arm have not ended."""
        return self._busy[arm]

    def queue(self, arm: str) -> QueueState | None:
        """Return how much later than on average an arm answers with as many calls as it has now, None if unknown."""
        return self._latencies[arm].queue(self._busy[arm])

    def penalties(self, expected_usd: Floats) -> Floats:
        """Return what the budget adds to arms of expected cost (K,), in quality units."""
        return self._budget.penalties(expected_usd, at=self._clock())

    def over_budget(self, expected_usd: Floats, most_usd: Floats | None = None) -> npt.NDArray[np.bool_]:
        """Return which arms of expected cost (K,), and at most `most_usd` (NaN: unknown), the ceilings bar now."""
        barred = self._budget.over_budget(expected_usd, most_usd, at=self._clock())
        if self.left_usd < math.inf:
            barred |= self._budget.most_usd(expected_usd, most_usd) > self.left_usd
        return barred

    def may_ask_instead(self, decision_id: str, candidates: Candidates, arm: str) -> bool:
        """Return whether a call under way may go to another of its candidates, whose cost is then set aside.

        It takes the place of a call that came to nothing; no less than for that one stays set aside.
        """
        usd, most_usd, place = candidates.usd, candidates.most_usd, candidates.arms.index(arm)
        if self._budget.over_budget(usd, most_usd, at=self._clock(), call=decision_id)[place]:
            return False
        if decision_id in self._expected:
            most = math.nan if most_usd is None else float(most_usd[place])
            self._budget.reserve_for_another(decision_id, float(usd[place]), most)
        return True

    def spent_usd(self, arm: str) -> float:
        """Return what an arm has cost all processes so far, as far as is published; calls under way as expected."""
        published_usd = self._tally.arms[arm].cost_usd if arm in self._tally.arms else 0.0
        return published_usd + self._ledger.unpublished_usd(arm) + self._promised_usd.get(arm, 0.0)

    def spent_today_usd(self) -> float:
        """Return what all processes have spent on this day of UTC, as far as this one knows."""
        return self._ledger.spent(day_of(self._clock())).usd

    def on_published(self, tally: Tally, position: EventId) -> None:
        """Take what all processes have spent, as the log up to `position` has it; nothing if it is known already."""
        if tally is not self._tally:
            self._tally = tally
            self._ledger.on_published(sort_key(position), tally.spent_by_all())

    def on_decision(self, decision: Decision, expected_usd: float, most_usd: float = math.nan) -> None:
        """Count a call that goes out, and can cost `most_usd` at most (NaN: nobody can tell)."""
        arm, usd = decision.arm, expected_usd if expected_usd > 0 else 0.0
        before = self._busy[arm]
        self._expected[decision.id] = arm, usd, before
        self._busy[arm] = before + 1
        self._promised_usd[arm] += usd
        self._budget.reserve(decision.id, expected_usd, most_usd)

    def most_usd(self, candidates: Candidates) -> float:
        """Return what a call to any of the candidates can cost at most; 0 where none has a price."""
        usd = self._budget.most_usd(candidates.usd, candidates.most_usd)
        return 0.0 if np.isnan(usd).all() else float(np.nanmax(usd))

    def on_given_back(self, decision: Decision) -> None:
        """Forget a call that does not go out after all, or that somebody else makes.

        The latter may never be heard of, and is charged once it is told.
        """
        if decision.id in self._expected:
            self._forget(decision.id)
            self._budget.give_back(decision.id)

    def on_next_stage(self, decision_id: str, expected_usd: float, most_usd: float = math.nan) -> None:
        """Count a call under way that another arm is asked for, too: at what all of it is expected to cost by now.

        `most_usd` is what it can all cost at most, NaN where nobody can tell.
        """
        if decision_id in self._expected:
            self._budget.reserve(decision_id, expected_usd, most_usd)

    def on_outcome(self, outcome: Outcome) -> None:
        """Charge a call that ended."""
        arm, before = self._forget(outcome.decision_id)
        if arm == outcome.arm and outcome.status is Status.OK:
            self._latencies[arm] = self._latencies[arm].plus(before, outcome.latency_s)
        self._budget.charge(outcome.decision_id, outcome.cost_usd, at=outcome.at, arm=outcome.arm)
        if self.rule is not None:
            self._note_standing()

    def _note_standing(self) -> None:
        """Keep where the budget stands, if the last one kept is old enough."""
        now = self._clock()
        if not self._standings or now - self._standings[-1][0] >= _PRESSURE_EVERY_S:
            self._standings.append((now, self._budget.standing(at=now)))

    def _forget(self, decision_id: str) -> tuple[str, int]:
        """Take a call from those under way; return its arm, and how many calls that had before it."""
        arm, usd, before = self._expected.pop(decision_id, ("", 0.0, 0))
        self._busy[arm] -= 1
        self._promised_usd[arm] -= usd
        if not self._busy[arm]:
            self._promised_usd.pop(arm, None)  # what is left of taking away what was added
        return arm, before

    def on_drained(self, event_id: EventId) -> None:
        """Note that all outcomes that waited in the spool stand on the log, at this place or before it."""
        self._ledger.on_drained(sort_key(event_id))

    def on_logged(self, outcome: Outcome, event_id: EventId | None) -> None:
        """Note where on the log the outcome of a call that ended stands; None: it waits in the spool."""
        self._ledger.on_logged(outcome.decision_id, None if event_id is None else sort_key(event_id))
