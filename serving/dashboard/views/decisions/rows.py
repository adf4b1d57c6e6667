"""A decision in a line of a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from highwayman.env.reward import RewardSpec
from highwayman.env.types import Decision, Mode, Outcome, Status
from highwayman.feedback.fold.join import attribute_reward
from highwayman.feedback.log.record import Record
from highwayman.serving.decisions.words import why_in_short

_UNDER_WAY = "under way"


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """What is shown of a decision among others; times are of UTC."""

    id: str
    at: float  # seconds since the epoch
    day: str
    clock: str
    arm: str  # who answered, or was to
    why: str
    mode: str  # empty: the usual one
    propensity: float
    cost_usd: float | None
    latency_s: float | None
    trouble: str  # how it ended, if not well
    quality: float | None
    statements: int


def rows(records: Iterable[Record], spec: RewardSpec) -> list[DecisionLine]:
    """Return a row for each record that has a decision, in their order."""
    return [_row(record, record.decision, spec) for record in records if record.decision is not None]


def by_day(lines: Iterable[DecisionLine]) -> Mapping[str, list[DecisionLine]]:
    """Return rows that stand in the order of their times by their day."""
    return {day: list(group) for day, group in groupby(lines, key=lambda row: row.day)}


def _row(record: Record, decision: Decision, spec: RewardSpec) -> DecisionLine:
    outcome, attributed = record.outcome, attribute_reward(record, spec)
    reward = attributed.reward if attributed is not None else None
    moment = datetime.fromtimestamp(decision.at, UTC)
    return DecisionLine(
        id=decision.id,
        at=decision.at,
        day=f"{moment:%A}, {moment.day} {moment:%B %Y}",
        clock=f"{moment:%H:%M:%S}",
        arm=record.served_arm(),
        why=why_in_short(decision, outcome),
        mode="" if decision.mode is Mode.ROUTE else decision.mode.value,
        propensity=decision.propensity,
        cost_usd=None if outcome is None else outcome.cost_usd,
        latency_s=None if outcome is None else outcome.latency_s,
        trouble=_trouble(outcome),
        quality=reward.quality if reward is not None and reward.weight else None,
        statements=len(record.feedback),
    )


def _trouble(outcome: Outcome | None) -> str:
    if outcome is None:
        return _UNDER_WAY
    return "" if outcome.status is Status.OK else outcome.status.value.replace("_", " ")
