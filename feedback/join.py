"""What is known of a decision at any point of the log, and what one event changes of it: pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from highwayman.env.reward import RewardSpec
from highwayman.env.types import Decision, Feedback, Floats, Outcome, Reward, RewardChange

EventId = str  # a Redis stream id, "milliseconds-sequence"

START: EventId = "0-0"


def order(event_id: EventId) -> tuple[int, int]:
    """Return the id as numbers, which sort in log order."""
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)


@dataclass(frozen=True, slots=True)
class Record:
    """A decision and everything filed under it so far, each with the id of the event that filed it."""

    decision: Decision
    outcome: Outcome | None = None
    outcome_id: EventId | None = None
    feedback: Mapping[EventId, Feedback] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credit:
    """A reward and the arm it is credited to."""

    arm: str
    reward: Reward


def credit(record: Record, spec: RewardSpec, *, upto: EventId | None = None, inclusive: bool = True) -> Credit:
    """Return what the log up to event `upto` (None: all of it) says of the decision's answer.

    The arm that served is credited; the intended one as long as no outcome is known.
    """

    def known(event_id: EventId) -> bool:
        if upto is None:
            return True
        return order(event_id) < order(upto) or (inclusive and event_id == upto)

    said = [record.feedback[event_id] for event_id in sorted(record.feedback, key=order) if known(event_id)]
    served = record.outcome is not None and record.outcome_id is not None and known(record.outcome_id)
    arm = record.outcome.arm if served and record.outcome is not None else record.decision.arm
    return Credit(arm, spec.reward(said))


def changes(record: Record, event_id: EventId, spec: RewardSpec) -> tuple[RewardChange, ...]:
    """Return what event `event_id` changes of what is known: nothing, one change, or a move between two arms.

    A function of the log alone, so an event that is delivered or read again yields the same change; the learner's
    position decides whether it has been applied.
    """
    before = credit(record, spec, upto=event_id, inclusive=False)
    after = credit(record, spec, upto=event_id)
    if before == after:
        return ()
    features = record.decision.context.features
    terms = [(before.arm, -1.0, before.reward), (after.arm, 1.0, after.reward)]
    if before.arm != after.arm:
        moves = [_change(arm, features, [(sign, reward)]) for arm, sign, reward in terms]
        return tuple(move for move in moves if move.weight)
    return (_change(after.arm, features, [(sign, reward) for _, sign, reward in terms]),)


def _change(arm: str, features: Floats, terms: list[tuple[float, Reward]]) -> RewardChange:
    return RewardChange(
        arm,
        features,
        weight=sum(sign * reward.weight for sign, reward in terms),
        weighted=sum(sign * reward.weight * reward.quality for sign, reward in terms),
        squared=sum(sign * reward.weight * reward.quality**2 for sign, reward in terms),
    )
