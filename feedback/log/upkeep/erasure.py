"""Taking a person out: off the log, the records, the archive and what was learned, in steps that may be repeated.

First every decision of the person, and all their feedback on others' decisions, is erased by an event of its own,
which the learner follows like any other: it takes away exactly what the erased events had taught. When every learner
has done so, the events themselves go. A state that no learner tends, and versions kept from before, go whole.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from highwayman.env.types import ControlKind, Decision, Feedback, Outcome
from highwayman.feedback.log.event_id import START, EventId, sort_key
from highwayman.feedback.log.events import BadEvent, Event, decision_id_of, decode
from highwayman.feedback.log.upkeep.retention import Retention

Row = tuple[EventId, bytes, bool]


class ErasableArchive(Protocol):
    """An archive as erasure sees it."""

    def read(self) -> Iterator[list[Row]]:
        """Yield everything in it, in log order."""

    def remove(self, event_ids: Collection[EventId]) -> int:
        """Remove events; return how many were there."""


@dataclass(slots=True)
class DecisionErasure:
    """What is to go of one decision."""

    whole: bool  # or only some of the feedback
    tenant: str = ""  # whose decision it is; empty: it is neither on the log nor in the archive
    events: dict[EventId, bytes] = field(default_factory=dict)  # everything about it
    feedback: dict[EventId, str] = field(default_factory=dict)  # the person's or key's own, with its ids
    quarantine_toggles: dict[str, list[EventId]] = field(
        default_factory=dict
    )  # by the feedback's id, where it was quarantined or released

    def event_ids(self) -> list[EventId]:
        """Return the ids of the events that go."""
        return list(self.events if self.whole else self.feedback)

    def record_fields(self) -> list[bytes | str]:
        """Return names and values of the decision's record, for one that has expired."""
        fields: list[bytes | str] = []
        for event_id, data in self.events.items():
            event = decode(data)
            if isinstance(event, Decision):
                fields += ["d", event_id, "D", data]
            elif isinstance(event, Outcome):
                fields += ["o", event_id, "O", data]
            elif isinstance(event, Feedback):
                fields += [f"f:{event.id}", f"{event_id} ".encode() + data]
        for name, turns in self.quarantine_toggles.items():
            fields += [f"z:{name}", " ".join(turns)]
        return fields


class Erasure:
    """The erasure of everything under some pseudonyms, and of everything sent with some keys."""

    def __init__(
        self,
        retention: Retention,
        archive: ErasableArchive | None,
        pseudonyms: Collection[str],
        *,
        keys: Collection[str] = (),
        tenants: Collection[str] = (),
        issued_to: Callable[[str, str], bool] = lambda decision_id, tenant: False,
    ) -> None:
        """Take what is looked through, and whose events go.

        Args:
            retention: of the log.
            archive: if there is one.
            pseudonyms: what stands for the person.
            keys: ids of keys.
            tenants: about whose decisions; none: everybody's. Persons of two tenants may have one name.
            issued_to: whether a decision's id was issued to a tenant, for decisions that are gone.
        """
        self._retention = retention
        self._archive = archive
        self.pseudonyms = frozenset(pseudonyms)
        self._keys = frozenset(keys)
        self._tenants = frozenset(tenants)
        self._issued_to = issued_to
        self.found: dict[str, DecisionErasure] = {}  # by decision id

    async def find(self) -> int:
        """Find all that is the person's, on the log and in the archive; return how many events that is."""
        self.found = {}
        async for event_id, event, _ in self._all():
            if isinstance(event, Decision) and event.user in self.pseudonyms:
                self.found.setdefault(event.id, DecisionErasure(whole=True)).whole = True
            elif isinstance(event, Feedback) and (event.user in self.pseudonyms or event.key in self._keys):
                self.found.setdefault(event.decision_id, DecisionErasure(whole=False)).feedback[event_id] = event.id
        if self.found:
            async for event_id, event, data in self._all():
                self._note(event_id, event, data)
        self.found = {name: erased for name, erased in self.found.items() if self._is_meant(name, erased)}
        return sum(len(erased.event_ids()) for erased in self.found.values())

    @property
    def tenants(self) -> list[str]:
        """The tenants whose decisions are concerned, as far as these are still there."""
        return sorted({erased.tenant for erased in self.found.values()} - {""})

    @property
    def has_archive(self) -> bool:
        """Whether an archive is looked through beside the log."""
        return self._archive is not None

    def _is_meant(self, decision_id: str, erased: DecisionErasure) -> bool:
        """Return whether the decision is of one of the tenants that are meant."""
        return erased.tenant in self._tenants if self._tenants and erased.tenant else self.is_meant(decision_id)

    def is_meant(self, decision_id: str) -> bool:
        """Return whether a decision that is gone was of one of the tenants that are meant."""
        return not self._tenants or any(self._issued_to(decision_id, tenant) for tenant in self._tenants)

    async def collect(self, decision_ids: Collection[str]) -> dict[str, DecisionErasure]:
        """Return everything there is about these decisions, on the log and in the archive."""
        self.found = {name: DecisionErasure(whole=False) for name in decision_ids}
        async for event_id, event, data in self._all():
            self._note(event_id, event, data)
        return self.found

    def _note(self, event_id: EventId, event: Event, data: bytes) -> None:
        """Keep an event about a decision of which something is to go."""
        erased = self.found.get(decision_id_of(event))
        if erased is None:
            return
        if isinstance(event, Decision):
            erased.tenant = event.tenant
        if isinstance(event, Decision | Outcome | Feedback):
            erased.events[event_id] = data
        elif event.kind is ControlKind.QUARANTINE:
            for name in event.detail["feedback"]:
                erased.quarantine_toggles.setdefault(name, []).append(event_id)

    async def put_markers(self, *, at: float) -> EventId:
        """Put the erasures on the log; return the last one's id, `START` if there was nothing. Again is no harm."""
        last = START
        for name, erased in self.found.items():
            feedback = [] if erased.whole else list(erased.feedback.values())
            event_id = await self._retention.put_erasure(name, feedback=feedback, known=erased.record_fields(), at=at)
            last = max(last, event_id, key=sort_key)
        return last

    async def lagging_lineages(self, last: EventId) -> dict[str, bool]:
        """Return lineages whose state has not followed the erasures up to `last`, and whether a learner tends each."""
        positions = await self._retention.positions()
        late = [lineage for lineage, position in positions.items() if sort_key(position) < sort_key(last)]
        return {lineage: await self._retention.has_learner(lineage) for lineage in late}

    async def forget(self) -> tuple[int, int]:
        """Remove the events themselves; return how many left the log and how many the archive."""
        off_the_log = 0
        for name, erased in self.found.items():
            feedback = [] if erased.whole else list(erased.feedback.values())
            off_the_log += await self._retention.forget(name, feedback=feedback, event_ids=erased.event_ids())
        await self._retention.forget_dead({name for name, erased in self.found.items() if erased.whole})
        event_ids = [event_id for erased in self.found.values() for event_id in erased.event_ids()]
        return off_the_log, self._archive.remove(event_ids) if self._archive is not None and event_ids else 0

    async def _all(self) -> AsyncIterator[tuple[EventId, Event, bytes]]:
        """Yield every readable event of the archive, then of the log, with its id and bytes."""
        if self._archive is not None:
            for page in self._archive.read():
                for row in _readable(page):
                    yield row
        async for page in self._retention.scan(START):
            for row in _readable(page):
                yield row


def _readable(page: Sequence[Row]) -> Iterable[tuple[EventId, Event, bytes]]:
    for event_id, data, _ in page:
        try:
            yield event_id, decode(data), data
        except BadEvent:
            continue
