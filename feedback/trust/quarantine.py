"""What came with a key, quarantined and released: not forgotten, and not counted meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from highwayman.env.types import DEFAULT_TENANT, Control, ControlKind, Feedback
from highwayman.feedback.fold.join import is_quarantined
from highwayman.feedback.log.event_id import START, EventId
from highwayman.feedback.log.events import BadEvent, Event, decode
from highwayman.feedback.log.record import Record
from highwayman.feedback.log.store import MOST_TOGETHER, Store
from highwayman.feedback.log.upkeep.erasure import ErasableArchive, Erasure
from highwayman.feedback.log.upkeep.retention import Retention

_KEY_STATE_SYNC_S: Final = 3.0  # by then every router that can learn a key's state has


@dataclass(slots=True)
class _Found:
    """Statements with the key on one decision."""

    feedback: dict[str, Feedback] = field(default_factory=dict)  # by their ids


class Quarantine:
    """Quarantines and releases statements of keys by events on the log, which every learner follows exactly."""

    def __init__(self, store: Store, retention: Retention, archive: ErasableArchive | None = None) -> None:
        """Take the log, and the archive if there is one."""
        self._store = store
        self._retention = retention
        self._archive = archive

    async def follow_key(
        self, key_id: str, *, quarantined: bool, clock: Callable[[], float], after: EventId = START
    ) -> int:
        """Turn what came with a key whose state has just changed; return how many statements that were.

        It takes some seconds: what arrives before every router and the abuse monitor know of the state is turned, too.
        Raises StoreUnavailable.
        """
        count = 0
        for pause_s in (_KEY_STATE_SYNC_S, 0.0):
            count += await self.set_quarantined([key_id], quarantined=quarantined, at=clock(), after=after)
            await asyncio.sleep(pause_s)
        if quarantined:
            await self.withdraw_change_notices([key_id], at=clock(), after=after)
        return count

    async def set_quarantined(
        self, keys: Collection[str], *, quarantined: bool, at: float, after: EventId = START
    ) -> int:
        """Turn all feedback sent with `keys` since the event `after`; return how many statements were turned.

        Done again, it changes nothing. Raises StoreUnavailable.
        """
        turned = 0
        async for by_decision in self._pages(frozenset(keys), after):
            turned += await self._toggle(by_decision, quarantined=quarantined, at=at)
        return turned

    async def withdraw_change_notices(self, keys: Collection[str], *, at: float, after: EventId = START) -> int:
        """Withdraw the notices that arms have changed, since the first feedback sent with these keys after `after`.

        They may have been brought about by it; a change that is none of theirs is noticed again. Returns how many
        notices that were; done again, it changes nothing. Raises StoreUnavailable.
        """
        key_ids, tenants = frozenset(keys), set[str]()
        notices: list[tuple[EventId, str]] = []
        withdrawn: set[str] = set()
        begun = False
        async for page in self._retention.scan(after):
            for event_id, data, _ in page:
                event = _decoded(data)
                if isinstance(event, Feedback) and event.key in key_ids:
                    begun = True
                    tenants |= await self._tenant(event, known=tenants)
                elif isinstance(event, Control) and event.kind is ControlKind.CHANGE_NOTICED and begun:
                    notices.append((event_id, str(event.detail.get("tenant", DEFAULT_TENANT))))
                elif isinstance(event, Control) and event.kind is ControlKind.CHANGE_WITHDRAWN:
                    withdrawn.add(str(event.detail["event"]))
        due = [event_id for event_id, tenant in notices if tenant in tenants and event_id not in withdrawn]
        for event_id in due:
            await self._store.append(Control(at, ControlKind.CHANGE_WITHDRAWN, {"event": event_id}))
        return len(due)

    async def _tenant(self, feedback: Feedback, *, known: Collection[str]) -> set[str]:
        """Return whose decision a statement is about; a key has one tenant, so one look is enough."""
        if known:
            return set()
        record = (await self._store.records([feedback.decision_id])).get(feedback.decision_id)
        return {record.decision.tenant} if record is not None and record.decision is not None else set()

    async def _toggle(self, by_decision: Mapping[str, _Found], *, quarantined: bool, at: float) -> int:
        records = await self._store.records(list(by_decision))
        expired = await self._expired([name for name in by_decision if name not in records])
        turned = 0
        for name, statements in by_decision.items():
            record, known = records.get(name, Record(None)), expired.get(name, [])
            turns = dict(record.quarantine_toggles) or _toggles_in(known)
            toggles = {
                feedback.id: len(turns.get(feedback.id, ()))
                for feedback in statements.feedback.values()
                if is_quarantined(feedback, turns.get(feedback.id, ())) is not quarantined
                and feedback.id not in record.erased_feedback
                and record.erased_id is None
            }
            if toggles and await self._retention.put_quarantine(name, toggles=toggles, known=known, at=at) is not None:
                turned += len(toggles)
        return turned

    async def _expired(self, names: Sequence[str]) -> dict[str, list[bytes | str]]:
        """Return the fields of records that have expired, from the log and the archive."""
        if not names:
            return {}
        erasure = Erasure(self._retention, self._archive, ())
        return {
            name: decision_erasure.record_fields() for name, decision_erasure in (await erasure.collect(names)).items()
        }

    async def _pages(self, keys: frozenset[str], after: EventId) -> AsyncIterator[dict[str, _Found]]:
        """Yield the feedback sent with the keys, by decision, some decisions at a time."""
        by_decision: dict[str, _Found] = {}
        async for data in self._events(after):
            event = _decoded(data)
            if isinstance(event, Feedback) and event.key in keys:
                by_decision.setdefault(event.decision_id, _Found()).feedback[event.id] = event
            if len(by_decision) >= MOST_TOGETHER:
                yield by_decision
                by_decision = {}
        if by_decision:
            yield by_decision

    async def _events(self, after: EventId) -> AsyncIterator[bytes]:
        if self._archive is not None and after == START:
            for page in self._archive.read():
                for _, data, _ in page:
                    yield data
        async for page in self._retention.scan(after):
            for _, data, _ in page:
                yield data


def _decoded(data: bytes) -> Event | None:
    try:
        return decode(data)
    except BadEvent:
        return None


def _toggles_in(fields: Sequence[bytes | str]) -> dict[str, list[str]]:
    """Return by a statement's id where it was turned, as a record's fields say."""
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return {str(name)[2:]: str(at).split() for name, at in pairs if str(name).startswith("z:")}
