"""What calls were foretold to cost, against what they were metered at."""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from highwayman.env.cost.usage import cost_usd
from highwayman.env.types import DEFAULT_TENANT, Arm, Usage
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.fold.tally_quotes import TallyQuotes
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.serving.dashboard.arms.recent_calls import LoggedCall

LEAST_CALLS: Final = 10  # of an arm, for a ratio with an interval
_Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class ForetoldCall:
    """One answer, in dollars at the prices in force now."""

    decision: str
    at: float  # seconds since the epoch
    arm: str
    foretold_usd: float
    metered_usd: float
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True)
class CostRatio:
    """Dollars metered for each one foretold, of one arm, with a 95% interval; NaN ends for too few calls."""

    calls: int
    ratio: float
    low: float
    high: float


def foretold_calls(
    calls: Sequence[LoggedCall], arms: Sequence[Arm], tally: Tally, *, position: EventId, fingerprint: str
) -> list[ForetoldCall]:
    """Return each call with what was foretold of it, by what had been learned from the calls before it.

    The calls are taken out of what is known of answers' lengths, and learned again one after the other, each once it
    has been foretold. Tokenizers, which fade and of which nothing can be taken away, are those known now. What callers
    allow an answer to have is not on the log: nothing is foretold of it here.

    Args:
        calls: oldest first.
        arms: of the pool, with their prices.
        tally: at `position` of the log; it stays as it is.
        position: of what the tally has folded.
        fingerprint: of the encoder whose features the tally knows.
    """
    places = {arm.name: place for place, arm in enumerate(arms)}
    known = Tally()
    known.arms, known.amounts = tally.arms, deepcopy(tally.amounts)
    usable = [call for call in calls if call.decision.context.fingerprint == fingerprint and call.answer is not None]
    for call in usable:
        if sort_key(_known_at(call)) <= sort_key(position):
            _learn(known, call, sign=-1)
    quotes, foretold = TallyQuotes(arms), []
    for call in usable:
        outcome = call.answer
        place = None if outcome is None else places.get(outcome.arm)
        if outcome is not None and place is not None and arms[place].has_price:
            quotes.follow(known)
            expected_usd = float(quotes.estimates(call.decision.context).usd[place])
            usage = Usage(outcome.tokens_in, outcome.tokens_out, outcome.tokens_cached)
            metered_usd = cost_usd(arms[place], usage) or 0.0
            decision = call.decision
            foretold.append(
                ForetoldCall(decision.id, decision.at, outcome.arm, expected_usd, metered_usd, decision.tenant)
            )
        _learn(known, call, sign=1)
    return foretold


def cost_ratios(calls: Sequence[ForetoldCall]) -> Mapping[str, CostRatio]:
    """Return each arm's dollars metered over those foretold.

    A ratio of sums, with the interval of its linearisation (Cochran, Sampling Techniques, 1977, section 6.4), which
    takes calls for independent; those of one conversation are not.
    """
    by_arm: dict[str, list[ForetoldCall]] = {}
    for call in calls:
        by_arm.setdefault(call.arm, []).append(call)
    return {arm: _ratio(own) for arm, own in by_arm.items()}


def _ratio(calls: Sequence[ForetoldCall]) -> CostRatio:
    n, foretold = len(calls), math.fsum(call.foretold_usd for call in calls)
    if foretold <= 0.0:
        return CostRatio(n, math.nan, math.nan, math.nan)
    ratio = math.fsum(call.metered_usd for call in calls) / foretold
    if n < LEAST_CALLS:
        return CostRatio(n, ratio, math.nan, math.nan)
    squares = math.fsum((call.metered_usd - ratio * call.foretold_usd) ** 2 for call in calls)
    half = _Z95 * math.sqrt(squares * n / (n - 1)) / foretold
    return CostRatio(n, ratio, max(ratio - half, 0.0), ratio + half)


def _learn(known: Tally, call: LoggedCall, *, sign: int) -> None:
    if call.outcome is not None:
        known.amounts.on_answer(call.decision, call.outcome, sign=sign, known_at=_known_at(call))


def _known_at(call: LoggedCall) -> EventId:
    """Return from which place on decision and outcome are both on the log."""
    ids = (event_id for event_id in (call.decision_id, call.outcome_id) if event_id is not None)
    return max(ids, key=sort_key)
