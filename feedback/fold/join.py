"""What is known of a decision at any point of the log, and what one event changes of it: pure functions.

Order does not matter: feedback or an outcome may reach the log before its decision (a spool of one replica is drained
later than another's writes), and counts from the moment both are there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from highwayman.env.reward import Part, RewardSpec, Standing
from highwayman.env.types import (
    Control,
    ControlKind,
    Decision,
    Feedback,
    Floats,
    Outcome,
    PreferenceChange,
    Reward,
    RewardChange,
    Status,
)

EventId = str  # a Redis stream id, "milliseconds-sequence"

START: EventId = "0-0"


@lru_cache(maxsize=16_384)
def order(event_id: EventId) -> tuple[int, int]:
    """Return the id as numbers, which sort in log order."""
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)


def before(event_id: EventId) -> EventId:
    """Return the largest id smaller than this one."""
    milliseconds, sequence = order(event_id)
    return f"{milliseconds}-{sequence - 1}" if sequence else f"{milliseconds - 1}-{2**64 - 1}"


@dataclass(frozen=True, slots=True)
class Void:
    """A stretch of the log whose feedback, and changes noticed, do not count: what a rollback took back.

    A stretch of one event is a notice that was withdrawn: the change it tells of was somebody's lie.
    """

    after: EventId
    upto: EventId  # inclusive

    @property
    def withdraws(self) -> bool:
        """Whether it is a single event's."""
        return self.after == before(self.upto)

    def __contains__(self, event_id: EventId) -> bool:
        """Return whether the event lies in the stretch."""
        return order(self.after) < order(event_id) <= order(self.upto)


def standing(rollbacks: Sequence[Void]) -> tuple[Void, ...]:
    """Return which of all the log's rollbacks, in log order, hold in the end.

    The last one does; of those before it, only what was so at the point it went back to. What was withdrawn stays so.
    """
    found: list[Void] = []
    for void in reversed(rollbacks):
        if not void.withdraws and (not found or order(void.upto) <= order(found[-1].after)):
            found.append(void)
    withdrawn = sorted({void for void in rollbacks if void.withdraws}, key=lambda void: order(void.upto))
    return (*reversed(found), *withdrawn)


def void_of(event: object, event_id: EventId) -> Void | None:
    """Return what an event of the log makes void, None for most. Raises ValueError, KeyError for a damaged one."""
    if not isinstance(event, Control) or event.kind not in (ControlKind.ROLLBACK, ControlKind.CHANGE_WITHDRAWN):
        return None
    if event.kind is ControlKind.ROLLBACK:
        void = Void(str(event.detail["position"]), event_id)
    else:
        void = Void(before(str(event.detail["event"])), str(event.detail["event"]))
    order(void.after)  # a ValueError for what is no position
    return void


class Moment:
    """A point of the log: just before or just after one of its events, or its end."""

    def __init__(self, event_id: EventId | None = None, *, inclusive: bool = True) -> None:
        """Take the event, None for the log's end."""
        self._limit = None if event_id is None else order(event_id)
        self._inclusive = inclusive

    def knows(self, event_id: EventId | None) -> bool:
        """Return whether the event, if there is one, lies before this point."""
        if event_id is None or self._limit is None:
            return event_id is not None
        return order(event_id) < self._limit or (self._inclusive and order(event_id) == self._limit)


END = Moment()


@dataclass(frozen=True, slots=True)
class Record:
    """A decision and everything filed under it so far, each with the id of the event that filed it."""

    decision: Decision | None
    decision_id: EventId | None = None
    outcome: Outcome | None = None
    outcome_id: EventId | None = None
    feedback: Mapping[EventId, Feedback] = field(default_factory=dict)
    erased_id: EventId | None = None  # from this event on, nothing is known of it
    erased_feedback: Mapping[str, EventId] = field(default_factory=dict)  # by the feedback's id: from where on
    turns: Mapping[str, Sequence[EventId]] = field(default_factory=dict)  # by its id: where it was set aside, or back

    def served_arm(self, moment: Moment = END) -> str:
        """Return the arm that answered; the intended one as long as no outcome tells, empty if nothing does.

        A call that was given up names nobody who served it: its real end may yet take its place.
        """
        if self.outcome is not None and self.outcome.status is not Status.LOST and moment.knows(self.outcome_id):
            return self.outcome.arm
        return self.decision.arm if self.decision is not None else ""


@dataclass(frozen=True, slots=True)
class Credit:
    """A reward and the arm it is credited to."""

    arm: str
    reward: Reward
    parts: tuple[Part, ...] = field(default=(), compare=False)  # what it is made of


def credit(record: Record, spec: RewardSpec, moment: Moment = END, *, voids: Sequence[Void] = ()) -> Credit | None:
    """Return what the log up to `moment` says of the decision's answer; None before the decision, or once erased.

    The arm that served is credited; the intended one as long as no outcome tells. Feedback in `voids` is passed
    over.
    """
    if record.decision is None or not moment.knows(record.decision_id) or moment.knows(record.erased_id):
        return None
    filed = [one for one in record.feedback if moment.knows(one)]
    if voids:
        filed = [one for one in filed if not any(one in void for void in voids)]
    said = [record.feedback[one] for one in sorted(filed, key=order)]
    if record.erased_feedback:
        said = [one for one in said if not moment.knows(record.erased_feedback.get(one.id))]
    said = [one for one in said if not is_aside(one, record.turns.get(one.id, ()), moment)]
    parts = tuple(spec.parts(said)) if said else ()
    return Credit(record.served_arm(moment), spec.reward_of(parts), parts)


def preferences(
    before: Credit | None, after: Credit | None, features: Floats, *, at: float = 0.0
) -> tuple[PreferenceChange, ...]:
    """Return what one event changed of which arm's answer is preferred: preferences taken back, and new ones."""
    past, present = _compared(before), _compared(after)
    if past == present:
        return ()
    gone = [(pair, -1.0) for pair in past if pair not in present]
    come = [(pair, 1.0) for pair in present if pair not in past]
    return tuple(
        PreferenceChange(arm, other, features, weight=sign * weight, share=share, at=at)
        for (_, arm, other, share, weight), sign in (*gone, *come)
    )


def _compared(known: Credit | None) -> list[tuple[str, str, str, float, float]]:
    """Return the standing preferences: whose, the arm, the one it was compared with, its share, the weight."""
    if known is None:
        return []
    standing = [part for part in known.parts if part.standing is Standing.COMPARES and part.weight]
    return [(one.said.id, known.arm, one.said.other, one.quality, one.weight) for one in standing]


def explained(record: Record, spec: RewardSpec) -> list[Part]:
    """Return what each statement on the decision does for its reward by now, in log order."""
    every = [record.feedback[one] for one in sorted(record.feedback, key=order)]
    erased = [one for one in every if one.id in record.erased_feedback]
    aside = [one for one in every if one not in erased and is_aside(one, record.turns.get(one.id, ()))]
    heard = iter(spec.parts([one for one in every if one not in erased and one not in aside]))
    out = {Standing.ERASED: erased, Standing.SET_ASIDE: aside}
    why = {id(one): standing for standing, those in out.items() for one in those}
    return [Part(one, why[id(one)]) if id(one) in why else next(heard) for one in every]


def is_aside(said: Feedback, turns: Sequence[EventId], moment: Moment = END) -> bool:
    """Return whether a statement does not count for now: every turn sets it aside, or back."""
    return said.aside != (sum(map(moment.knows, turns)) % 2 == 1) if turns else said.aside


def changes(
    before: Credit | None, after: Credit | None, features: Floats, *, at: float = 0.0
) -> tuple[RewardChange, ...]:
    """Return what lies between two credits of one decision: nothing, one change, or a move between two arms.

    With the credits just before and just after an event it is a function of the log alone, so an event that is
    delivered or read again yields the same change; the learner's position decides whether it has been applied. `at` is
    when the decision was made, in seconds since the epoch.
    """
    if before == after:
        return ()
    terms = [(one, sign) for one, sign in ((before, -1.0), (after, 1.0)) if one is not None and one.reward.weight]
    arms = dict.fromkeys(one.arm for one, _ in terms)
    found = (_change(arm, features, [(sign, one.reward) for one, sign in terms if one.arm == arm], at) for arm in arms)
    return tuple(change for change in found if change.weight or change.weighted or change.squared)


def _change(arm: str, features: Floats, terms: list[tuple[float, Reward]], at: float) -> RewardChange:
    return RewardChange(
        arm,
        features,
        weight=sum(sign * reward.weight for sign, reward in terms),
        weighted=sum(sign * reward.weight * reward.quality for sign, reward in terms),
        squared=sum(sign * reward.weight * reward.quality**2 for sign, reward in terms),
        at=at,
    )
