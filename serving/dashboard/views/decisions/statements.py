"""What was said of an answer, one statement after another, and what each did to its reward."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from highwayman.env.metric import MetricKind
from highwayman.env.reward import FeedbackStatus, RewardContribution, RewardSpec
from highwayman.env.types import Feedback
from highwayman.feedback.fold.join import attribute_reward, explain_reward
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.record import LogPoint, Record
from highwayman.pages.charts import Axis, Figure, Lines, Series

_STANDINGS: Final[Mapping[FeedbackStatus, str]] = {
    FeedbackStatus.COUNTS: "counts",
    FeedbackStatus.COMPARES: "compares two answers",
    FeedbackStatus.REPLACED: "replaced by a newer one",
    FeedbackStatus.TAKEN_BACK: "takes back what was said",
    FeedbackStatus.NO_QUALITY: "says nothing of quality",
    FeedbackStatus.UNCALIBRATED: "nobody knows yet what it is worth",
    FeedbackStatus.NO_INFLUENCE: "its sender has had enough influence",
    FeedbackStatus.QUARANTINED: "its key is in quarantine",
    FeedbackStatus.UNDECLARED: "its metric is not declared any more",
    FeedbackStatus.ERASED: "erased",
}


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement; rewards are qualities in [0, 1], None where nothing counts."""

    at: float  # seconds since the epoch, when it was accepted
    source: str
    metric: str
    value: str
    text: str
    weight: float
    standing: str
    counts: bool
    before: float | None
    after: float | None


def statements(record: Record, spec: RewardSpec) -> list[StatementView]:
    """Return what was said of a decision's answer, in the order of the log."""
    events = sorted(record.feedback, key=sort_key)
    return [
        _statement(record, spec, event_id, part)
        for event_id, part in zip(events, explain_reward(record, spec), strict=True)
    ]


def reward_figure(said: Sequence[StatementView], color: str) -> Figure | None:
    """Return the reward over time; None where it never was another than the first."""
    changes = [statement for statement in said if statement.before != statement.after]
    if len(changes) < 2:
        return None
    after = [math.nan if statement.after is None else statement.after for statement in changes]
    times = sorted(statement.at for statement in changes)  # they may reach the log in another order
    times.append(times[-1] + 0.1 * (times[-1] - times[0]))  # what holds at the end is seen to
    x = [at for begin, end in pairwise(times) for at in (begin, end)]
    y = [value for value in after for _ in range(2)]
    alt = f"Quality by all that counted, after each of {len(changes)} statements."
    lines = Lines(
        alt, Axis("", "time"), Axis("quality", low=0.0, high=1.0), [Series("quality", color, x, y)], height=160
    )
    return Figure(lines, title="Quality, after each statement that changed it")


def _statement(record: Record, spec: RewardSpec, event_id: EventId, part: RewardContribution) -> StatementView:
    feedback = part.feedback
    return StatementView(
        at=feedback.at,
        source=feedback.source,
        metric=feedback.metric,
        value=_value(feedback, spec),
        text="" if part.status is FeedbackStatus.ERASED else feedback.text,  # it goes once learners have followed
        weight=part.weight,
        standing=_STANDINGS[part.status],
        counts=part.status is FeedbackStatus.COUNTS,
        before=_reward(record, spec, LogPoint(event_id, inclusive=False)),
        after=_reward(record, spec, LogPoint(event_id)),
    )


def _reward(record: Record, spec: RewardSpec, point: LogPoint) -> float | None:
    attributed = attribute_reward(record, spec, point)
    return attributed.reward.quality if attributed is not None and attributed.reward.weight else None


def _value(feedback: Feedback, spec: RewardSpec) -> str:
    """Return what was said as people read it."""
    metric = spec.metrics.get(feedback.metric)
    if feedback.value is None:
        return "taken back"
    if metric is not None and metric.kind is MetricKind.BOOLEAN:
        return "yes" if feedback.value else "no"
    if metric is not None and metric.kind is MetricKind.PREFERENCE:
        better = {1.0: "better than", 0.0: "worse than"}.get(feedback.value, "compared with")
        return f"{better} {feedback.compared_arm}" if feedback.compared_arm else f"{feedback.value:.3g}"
    return (
        ""
        if metric is not None and metric.kind in (MetricKind.COMMENT, MetricKind.DEMONSTRATION)
        else (f"{feedback.value:.3g}")
    )
