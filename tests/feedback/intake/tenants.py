"""A namespace's decision ids at a time that is moved by hand, and records of the decisions made under them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from highwayman.env.types import Decision, Feedback, Outcome
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.log.record import Record
from tests.feedback.worlds import decision

NOW = 1_700_000_000.0
OURS, OTHERS = "ours", "others"  # tenants


class Clock:
    """Seconds since the epoch."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def decision_ids(clock: Clock, *, secrets: Sequence[bytes] = (b"first",)) -> DecisionIds:
    """Ids whose random part counts up, so that no two are the same."""
    count = iter(range(1 << 30))
    return DecisionIds(secrets, lambda size: next(count).to_bytes(size, "big"), clock)


def decided(ids: DecisionIds, *links: str, tenant: str = OURS, arm: str = "a") -> Decision:
    """A decision of a tenant's, found under links."""
    return replace(decision(ids.issue(tenant), arm=arm), tenant=tenant, links=links)


def record_of(made: Decision, *statements: Feedback, outcome: Outcome | None = None) -> Record:
    """The record of a decision with statements in the order in which they reached the log."""
    filed = {f"{place}-0": statement for place, statement in enumerate(statements, start=10)}
    return Record(made, "1-0", outcome, None if outcome is None else "2-0", filed)


@dataclass(frozen=True, slots=True)
class Links:
    """Decisions by the links under which they are found, as a store has them."""

    decisions: Sequence[Decision]

    async def __call__(self, name: str) -> list[str]:
        return [made.id for made in self.decisions if name in made.links]


@dataclass(frozen=True, slots=True)
class Records:
    """Records by decision, as a store has them."""

    records: Sequence[Record]

    async def __call__(self, decision_ids: Iterable[str]) -> dict[str, Record]:
        known = {record.decision.id: record for record in self.records if record.decision is not None}
        return {name: known[name] for name in decision_ids if name in known}

    async def one(self, decision_id: str) -> Record:
        return (await self([decision_id]))[decision_id]
