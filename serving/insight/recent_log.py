"""A tenant's newest decisions with all that is known of them, from one look at the end of the log."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from highwayman.env.types import CLIENT_TASK, Decision, Mode
from highwayman.feedback.fold.record_builder import RecordBuilder
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import Event, decision_id_of
from highwayman.feedback.log.history import LogHistory, readable_events
from highwayman.feedback.log.record import Record

_PAGE: Final = 500  # events at a time
_EVENTS_PER_DECISION: Final = 8  # that are read at most, for one that is wanted
_DRAWN: Final = frozenset({Mode.ROUTE, Mode.CASCADE})

EventsByDecision = dict[str, list[tuple[EventId, Event]]]  # newest first


async def recent_records(history: LogHistory, *, tenant: str, count: int) -> list[Record]:
    """Return records of a tenant's newest decisions that a policy drew, up to `count`, oldest first.

    Of calls that chat clients make for themselves, nothing: nobody asked these. Everything that was filed under a
    decision after it stands behind it on the log, so no record is looked up; what came before it is not seen. Raises
    StoreUnavailable.
    """
    gathered: EventsByDecision = {}
    wanted: list[str] = []
    place: EventId | None = None
    for _ in range(max(count * _EVENTS_PER_DECISION // _PAGE, 1)):
        page = await history.newest(before=place, count=_PAGE)
        wanted += await asyncio.to_thread(_gather, page, gathered, tenant)
        if len(page) < _PAGE or len(wanted) >= count:
            break
        place = page[-1][0]
    records = (_record(gathered[name]) for name in reversed(wanted[:count]))
    return [record for record in records if record.erased_id is None]


def _gather(page: Iterable[tuple[EventId, bytes]], gathered: EventsByDecision, tenant: str) -> Sequence[str]:
    """File events, newest first, by decision; return the decisions among them that are wanted."""
    wanted = []
    for event_id, event in readable_events(page):
        name = decision_id_of(event)
        if name:
            gathered.setdefault(name, []).append((event_id, event))
        if isinstance(event, Decision) and _is_wanted(event, tenant):
            wanted.append(name)
    return wanted


def _record(events: Sequence[tuple[EventId, Event]]) -> Record:
    """Return the record that events come to, which are newest first."""
    builder = RecordBuilder()
    for event_id, event in reversed(events):
        builder.add(event_id, event)
    return builder.build()


def _is_wanted(decision: Decision, tenant: str) -> bool:
    return decision.tenant == tenant and decision.mode in _DRAWN and CLIENT_TASK not in decision.context.flags
