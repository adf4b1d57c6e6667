"""What is known of a decision at any point of the log, and what one event changes of it: pure functions.

Order does not matter: feedback or an outcome may reach the log before its decision (a spool of one replica is drained
later than another's writes), and counts from the moment both are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from highwayman.bandit.cascade.teaching import first_arms_outcome
from highwayman.bandit.drift.source_levels import SourceStatement
from highwayman.env.reward import FeedbackStatus, RewardContribution, RewardSpec
from highwayman.env.types import (
    CascadeStage,
    Feedback,
    Floats,
    PreferenceChange,
    Reward,
    RewardChange,
    Status,
)
from highwayman.feedback.fold.rollbacks import VoidedRange
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.record import END, LogPoint, Record


@dataclass(frozen=True, slots=True)
class AttributedReward:
    """A reward and the arm it is credited to."""

    arm: str
    reward: Reward
    contributions: tuple[RewardContribution, ...] = field(default=(), compare=False)  # what it is made of


def attribute_reward(
    record: Record, spec: RewardSpec, point: LogPoint = END, *, voided: Sequence[VoidedRange] = ()
) -> AttributedReward | None:
    """Return the reward of the decision's answer by the log up to `point`; None before the decision, or once erased.

    The arm that served is credited; the intended one as long as no outcome tells. Feedback in `voided` is passed
    over.
    """
    if record.decision is None or not point.includes(record.decision_id) or point.includes(record.erased_id):
        return None
    filed = [event_id for event_id in record.feedback if point.includes(event_id)]
    if voided:
        filed = [event_id for event_id in filed if not any(event_id in span for span in voided)]
    feedback = [record.feedback[event_id] for event_id in sorted(filed, key=sort_key)]
    if record.erased_feedback:
        feedback = [statement for statement in feedback if not point.includes(record.erased_feedback.get(statement.id))]
    feedback = [
        statement
        for statement in feedback
        if not is_quarantined(statement, record.quarantine_toggles.get(statement.id, ()), point)
    ]
    parts = tuple(spec.contributions(feedback)) if feedback else ()
    return AttributedReward(record.served_arm(point), spec.aggregate(parts), parts)


def stages_at(record: Record, point: LogPoint = END) -> tuple[CascadeStage, ...]:
    """Return the answers looked at for a decision, by the log up to `point`; empty as long as no outcome tells."""
    outcome = record.outcome
    if outcome is None or not outcome.stages:
        return ()
    if outcome.status is Status.LOST or not point.includes(record.outcome_id):
        return ()
    return outcome.stages


def first_arms_reward(credit: AttributedReward | None, stages: Sequence[CascadeStage]) -> AttributedReward | None:
    """Return what a reward of the answer that was served teaches of the first one that was looked at.

    The same where none was. What statements it is made of is not told: they are about the answer that was served.
    """
    if credit is None or not stages or not credit.reward.weight:
        return credit
    arm, quality = first_arms_outcome(stages, credit.reward.quality)
    return AttributedReward(arm, replace(credit.reward, quality=quality))


def preference_changes(
    before: AttributedReward | None, after: AttributedReward | None, features: Floats, *, at: float = 0.0
) -> tuple[PreferenceChange, ...]:
    """Return what one event changed of which arm's answer is preferred: preferences taken back, and new ones."""
    old, new = _compared(before), _compared(after)
    if old == new:
        return ()
    withdrawn = [(pair, -1.0) for pair in old if pair not in new]
    added = [(pair, 1.0) for pair in new if pair not in old]
    return tuple(
        PreferenceChange(arm, other, features, weight=sign * weight, share=share, at=at)
        for (_, arm, other, share, weight), sign in (*withdrawn, *added)
    )


def _compared(credit: AttributedReward | None) -> list[tuple[str, str, str, float, float]]:
    """Return the standing preferences: whose, the arm, the one it was compared with, its share, the weight."""
    if credit is None:
        return []
    standing = [part for part in credit.contributions if part.status is FeedbackStatus.COMPARES and part.weight]
    return [(part.feedback.id, credit.arm, part.feedback.compared_arm, part.quality, part.weight) for part in standing]


def explain_reward(record: Record, spec: RewardSpec) -> list[RewardContribution]:
    """Return what each statement on the decision does for its reward by now, in log order."""
    statements = [record.feedback[event_id] for event_id in sorted(record.feedback, key=sort_key)]
    erased = [statement for statement in statements if statement.id in record.erased_feedback]
    quarantined = [
        statement
        for statement in statements
        if statement not in erased and is_quarantined(statement, record.quarantine_toggles.get(statement.id, ()))
    ]
    contributions = iter(
        spec.contributions(
            [statement for statement in statements if statement not in erased and statement not in quarantined]
        )
    )
    excluded = {FeedbackStatus.ERASED: erased, FeedbackStatus.QUARANTINED: quarantined}
    statuses = {id(statement): status for status, group in excluded.items() for statement in group}
    return [
        RewardContribution(statement, statuses[id(statement)]) if id(statement) in statuses else next(contributions)
        for statement in statements
    ]


def is_quarantined(feedback: Feedback, toggles: Sequence[EventId], point: LogPoint = END) -> bool:
    """Return whether a statement does not count for now: every turn quarantines or releases it."""
    return feedback.quarantined != (sum(map(point.includes, toggles)) % 2 == 1) if toggles else feedback.quarantined


def reward_changes(
    before: AttributedReward | None, after: AttributedReward | None, features: Floats, *, at: float = 0.0
) -> tuple[RewardChange, ...]:
    """Return what lies between two credits of one decision: nothing, one change, or a move between two arms.

    With the credits just before and just after an event it is a function of the log alone, so an event that is
    delivered or read again yields the same change; the learner's position decides whether it has been applied. `at` is
    when the decision was made, in seconds since the epoch.
    """
    if before == after:
        return ()
    terms = [
        (credit, sign) for credit, sign in ((before, -1.0), (after, 1.0)) if credit is not None and credit.reward.weight
    ]
    arms = dict.fromkeys(credit.arm for credit, _ in terms)
    changes = (
        _change(arm, features, [(sign, credit.reward) for credit, sign in terms if credit.arm == arm], at)
        for arm in arms
    )
    return tuple(change for change in changes if change.weight or change.weighted or change.squared)


def new_statements(
    before: AttributedReward | None, after: AttributedReward | None, spec: RewardSpec
) -> tuple[SourceStatement, ...]:
    """Return what one event let sources say of an answer of which they had said nothing, what weighs most first.

    A source is one on one metric; of several people that it speaks for, the first is heard.
    """
    standing = _by_source(before) if before is not None and after is not None and before.arm == after.arm else {}
    new = {source: part for source, part in _by_source(after).items() if source not in standing}
    ordered = sorted(new.items(), key=lambda item: (-item[1].weight, item[0]))
    return tuple(
        SourceStatement(source, _as_said(part, spec), part.weight, first=not standing and place == 0)
        for place, (source, part) in enumerate(ordered)
    )


def _by_source(credit: AttributedReward | None) -> dict[str, RewardContribution]:
    """Return the first statement that counts of each source."""
    by_source: dict[str, RewardContribution] = {}
    for part in credit.contributions if credit is not None else ():
        if part.status is FeedbackStatus.COUNTS:
            by_source.setdefault(f"{part.feedback.source}:{part.feedback.metric}", part)
    return by_source


def _as_said(part: RewardContribution, spec: RewardSpec) -> float:
    """Return the quality that a statement stands for as long as nothing corrects it."""
    value = part.feedback.value
    return part.quality if value is None else spec.metrics[part.feedback.metric].quality(value)


def _change(arm: str, features: Floats, terms: list[tuple[float, Reward]], at: float) -> RewardChange:
    return RewardChange(
        arm,
        features,
        weight=sum(sign * reward.weight for sign, reward in terms),
        weighted=sum(sign * reward.weight * reward.quality for sign, reward in terms),
        squared=sum(sign * reward.weight * reward.quality**2 for sign, reward in terms),
        at=at,
    )
