"""A tenant's newest decisions with all that is known of them, from one look at the end of the log."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from highwayman.env.types import CLIENT_TASK, Control, ControlKind, Decision, Feedback, Mode, Outcome
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import Event, decision_id_of
from highwayman.feedback.log.history import LogHistory, readable_events
from highwayman.feedback.log.record import Record

_PAGE: Final = 500  # events at a time
_EVENTS_PER_DECISION: Final = 8  # that are read at most, for one that is wanted
_DRAWN: Final = frozenset({Mode.ROUTE, Mode.CASCADE})


@dataclass(slots=True)
class _SoFar:
    """What the events read so far say of one decision."""

    decision: Decision | None = None
    decision_id: EventId | None = None
    outcome: Outcome | None = None
    outcome_id: EventId | None = None
    feedback: dict[EventId, Feedback] = field(default_factory=dict)
    erased_id: EventId | None = None
    erased_feedback: dict[str, EventId] = field(default_factory=dict)
    toggles: dict[str, list[EventId]] = field(default_factory=dict)

    def add(self, event_id: EventId, event: Event) -> None:
        if isinstance(event, Decision):
            self.decision, self.decision_id = event, event_id
        elif isinstance(event, Outcome):
            if self.outcome is None:  # the newest is met first: a real one that took a lost one's place
                self.outcome, self.outcome_id = event, event_id
        elif isinstance(event, Feedback):
            self.feedback[event_id] = event
        else:
            self._on_control(event_id, event)

    def _on_control(self, event_id: EventId, event: Control) -> None:
        if event.kind is ControlKind.QUARANTINE:
            for feedback_id in event.detail["feedback"]:
                self.toggles.setdefault(feedback_id, []).insert(0, event_id)
        elif event.kind is ControlKind.ERASURE and event.detail.get("feedback"):
            self.erased_feedback |= dict.fromkeys(event.detail["feedback"], event_id)
        elif event.kind is ControlKind.ERASURE:
            self.erased_id = event_id

    def record(self) -> Record:
        return Record(
            self.decision, self.decision_id, self.outcome, self.outcome_id, self.feedback, self.erased_id,
            self.erased_feedback, self.toggles,
        )  # fmt: skip


async def recent_records(history: LogHistory, *, tenant: str, count: int) -> list[Record]:
    """Return records of a tenant's newest decisions that a policy drew, up to `count`, oldest first.

    Of calls that chat clients make for themselves, nothing: nobody asked these. Everything that was filed under a
    decision after it stands behind it on the log, so no record is looked up; what came before it is not seen. Raises
    StoreUnavailable.
    """
    gathered: dict[str, _SoFar] = {}
    wanted: list[str] = []
    place: EventId | None = None
    for _ in range(max(count * _EVENTS_PER_DECISION // _PAGE, 1)):
        page = await history.newest(before=place, count=_PAGE)
        wanted += await asyncio.to_thread(_gather, page, gathered, tenant)
        if len(page) < _PAGE or len(wanted) >= count:
            break
        place = page[-1][0]
    records = (gathered[name].record() for name in reversed(wanted[:count]))
    return [record for record in records if record.erased_id is None]


def _gather(page: Iterable[tuple[EventId, bytes]], gathered: dict[str, _SoFar], tenant: str) -> Sequence[str]:
    """File events, newest first, by decision; return the decisions among them that are wanted."""
    wanted = []
    for event_id, event in readable_events(page):
        name = decision_id_of(event)
        if name:
            gathered.setdefault(name, _SoFar()).add(event_id, event)
        if isinstance(event, Decision) and _is_wanted(event, tenant):
            wanted.append(name)
    return wanted


def _is_wanted(decision: Decision, tenant: str) -> bool:
    return decision.tenant == tenant and decision.mode in _DRAWN and CLIENT_TASK not in decision.context.flags
