"""A tenant's decisions, newest first, a page at a time: the log read backwards, and what came of what is on it."""

import asyncio
from collections.abc import Sequence
from typing import Any

from highwayman.env.encoder.features.tags import tag_places
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Decision
from highwayman.feedback.fold.join import attribute_reward
from highwayman.feedback.log.event_id import EventId, milliseconds_of
from highwayman.feedback.log.history import LogHistory, readable_events
from highwayman.feedback.log.record import Record
from highwayman.feedback.log.store import Store
from highwayman.serving.decisions.filters import DecisionFilter
from highwayman.serving.views import decision_head

_READ = 200  # events at a time
_READ_IN_ALL = 4_000  # for one page: where few match, it ends early, and says where to go on
_CLOCKS_S = 300.0  # by which clocks of routers and Redis may disagree


async def decisions_page(history: LogHistory, store: Store, wanted: DecisionFilter, spec: RewardSpec) -> dict[str, Any]:
    """Return a page of decisions as OpenAI's API writes lists; `next` is where the next page goes on, null: nowhere.

    Raises StoreUnavailable.
    """
    records, place = await newest_decisions(history, store, wanted)
    shown = [_view(record.decision, record, spec) for record in records if record.decision is not None]
    return {"object": "list", "data": shown, "has_more": place is not None, "next": place}


async def newest_decisions(
    history: LogHistory, store: Store, wanted: DecisionFilter
) -> tuple[list[Record], EventId | None]:
    """Return the records of a page of decisions, newest first, and where the next page goes on, None: nowhere.

    Raises StoreUnavailable.
    """
    shown: list[Record] = []
    place, has_more = wanted.after, True
    for _ in range(_READ_IN_ALL // _READ):
        events = await history.newest(before=place, count=_READ)
        decisions = await asyncio.to_thread(_candidates, events, wanted)
        records = await store.records([decision.id for _, decision in decisions])
        for event_id, decision in decisions:
            record = records.get(decision.id)
            if record is None or not wanted.takes(record):
                continue
            shown.append(record)
            if len(shown) == wanted.limit:
                return shown, event_id
        has_more = len(events) == _READ and milliseconds_of(events[-1][0]) / 1000 >= wanted.since - _CLOCKS_S
        if not has_more:
            break
        place = events[-1][0]
    return shown, place if has_more else None


def _candidates(events: Sequence[tuple[EventId, bytes]], wanted: DecisionFilter) -> list[tuple[EventId, Decision]]:
    """Return the decisions among events that may be shown."""
    return [
        (event_id, event)
        for event_id, event in readable_events(events)
        if isinstance(event, Decision) and wanted.may_take(event)
    ]


def _view(decision: Decision, record: Record, spec: RewardSpec) -> dict[str, Any]:
    """Return a decision in a line; all of it is in `GET /v1/decisions/{id}`."""
    outcome, attributed = record.outcome, attribute_reward(record, spec)
    reward = attributed.reward if attributed is not None else None
    names = ("status", "tokens_in", "tokens_out", "cost_usd", "ttft_s", "latency_s")
    return {
        **decision_head(decision),
        "served_by": outcome.arm if outcome is not None else None,
        **{name: getattr(outcome, name, None) for name in names},
        "tags": tag_places(decision.context),
        "feedback": len(record.feedback),
        "quality": reward.quality if reward is not None and reward.weight else None,
    }
