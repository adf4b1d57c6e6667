"""The fold of a whole log with records kept in memory: what the learner must have come to, found without it."""

import json
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from highwayman.bandit.cascade.gates import Gates
from highwayman.bandit.snapshot import unpack
from highwayman.bandit.tenants import split_state
from highwayman.env.types import Decision
from highwayman.feedback.fold.learner import Learner, LogEntry, Rewind, Snapshot, needs_record
from highwayman.feedback.fold.record_builder import RecordBuilder
from highwayman.feedback.fold.rollbacks import VoidedRange
from highwayman.feedback.fold.tallies.call_amounts import CallAmounts
from highwayman.feedback.fold.tallies.control_tally import ControlTally
from highwayman.feedback.fold.tallies.efficiency_tally import EfficiencyTally
from highwayman.feedback.fold.tallies.history import History
from highwayman.feedback.fold.tally import (
    AMOUNTS,
    ANSWER_RATES,
    CONTROLS,
    EFFICIENCY,
    FITS,
    GATES,
    HISTORY,
    OVERLAP,
    PREFILL,
)
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.events import BadEvent, Event, decision_id_of, decode
from highwayman.feedback.log.record import Record

Page = Sequence[tuple[EventId, bytes, bool]]
Pages = Callable[[], AsyncIterator[Page]]


class FoldObserver(Protocol):
    """Looks on while a log is folded."""

    def on_decision(self, decision: Decision, learner: Learner) -> None:
        """Take a decision that comes next; the learner knows what came before it."""

    def on_record_final(self, record: Record) -> None:
        """Take a record of which nothing more will be folded."""


class LogFold:
    """A learner that is handed a log's events and joins them itself; records older than `kept_s` are let go."""

    def __init__(self, learner: Learner, *, kept_s: float, observer: FoldObserver | None = None) -> None:
        """Take a learner at the log's start and how long a decision's record is kept, in seconds."""
        self.learner = learner
        self.events = 0
        self._observer = observer
        self._kept_ms = int(kept_s * 1000)
        self._filed: OrderedDict[str, RecordBuilder] = OrderedDict()

    def feed(self, page: Page) -> Rewind | None:
        """Fold a page of the log; return where to begin again with which stretches void, if a rollback asks for it."""
        entries = []
        for event_id, data, _ in page:
            self.events += 1
            try:
                event = decode(data)
            except BadEvent:
                continue
            entry = LogEntry(event_id, event, self._joined(event_id, event))
            if self._observer is None:
                entries.append(entry)
                continue
            if isinstance(event, Decision):
                self._observer.on_decision(event, self.learner)
            rewind = self.learner.step([entry]).rewind
            if rewind is not None:
                return rewind
        return self.learner.step(entries).rewind

    def finish(self) -> None:
        """Let go of every record: the log has come to its end."""
        while self._filed:
            self._let_go()

    def _let_go(self) -> None:
        _, filed = self._filed.popitem(last=False)
        if self._observer is not None:
            self._observer.on_record_final(filed.build())

    def _joined(self, event_id: EventId, event: Event) -> Record | None:
        name, now_ms = decision_id_of(event), sort_key(event_id)[0]
        if not name:
            return None
        while self._filed and next(iter(self._filed.values())).since_ms + self._kept_ms < now_ms:
            self._let_go()
        filed, early = self._filed.get(name), True
        if filed is None:
            filed, early = self._filed.setdefault(name, RecordBuilder(now_ms)), False
        filed.add(event_id, event)
        if isinstance(event, Decision) and early:
            filed.since_ms = now_ms
            self._filed.move_to_end(name)
        needed = needs_record(event) or (early and isinstance(event, Decision)) or bool(filed.feedback)
        return filed.build() if needed else None


async def fold_log(
    pages: Pages, make_learner: Callable[[], Learner], *, kept_s: float, upto: EventId | None = None
) -> LogFold:
    """Return the fold of the log in `pages`, up to and with `upto` (None: all of it).

    `pages` is called again when a rollback on the log takes feedback back that had been folded already.
    """
    rollbacks: tuple[VoidedRange, ...] = ()
    while True:
        fold = LogFold(make_learner(), kept_s=kept_s)
        fold.learner.set_rollbacks(rollbacks)
        rewind = await _fed(fold, pages, upto)
        if rewind is None:
            return fold
        rollbacks = rewind.rollbacks


async def _fed(fold: LogFold, pages: Pages, upto: EventId | None) -> Rewind | None:
    async for page in pages():
        part = [row for row in page if upto is None or sort_key(row[0]) <= sort_key(upto)]
        rewind = fold.feed(part)
        if rewind is not None or len(part) < len(page):
            return rewind
    return None


@dataclass(frozen=True, slots=True)
class SnapshotDifference:
    """How far two learned states are apart: the largest absolute difference of any number in them."""

    policy: float
    tally: float

    @property
    def largest(self) -> float:
        """The larger of the two."""
        return max(self.policy, self.tally)


def snapshot_difference(
    snapshot: Snapshot, other: Snapshot, *, blank: Callable[[Sequence[str]], bytes] | None = None
) -> SnapshotDifference:
    """Return how far two snapshots are apart. Raises SnapshotError.

    Arms are matched by name; one that only one of them knows does not matter as long as nothing was learned of it. So
    it is with tenants, if `blank` gives the state of a policy with these arms that has learned nothing. The tally's
    recent share and what it knows of tokenizers and of chances to answer are left out: they depend on the order of what
    was erased.
    """
    states, other_states = split_state(snapshot.policy), split_state(other.policy)
    tallies = json.loads(snapshot.tally), json.loads(other.tally)
    difference = 0.0
    for tenant in states.keys() | other_states.keys():
        state, other_state = states.get(tenant), other_states.get(tenant)
        if state is not None and other_state is not None:
            difference = max(difference, _policies_apart(state, other_state, tallies))
        else:
            difference = max(difference, _learned(state or other_state or b"", blank))
    return SnapshotDifference(difference, _tallies_apart(*tallies))


def _learned(state: bytes, blank: Callable[[Sequence[str]], bytes] | None) -> float:
    """Return how far a state is from one that has learned nothing."""
    if blank is None:
        return math.inf
    arms = unpack(state)[0].get("arms") or ()
    return _policies_apart(state, blank([str(name) for name in arms]), ())


def _policies_apart(state: bytes, other_state: bytes, tallies: Sequence[dict[str, Any]]) -> float:
    (head, left), (other_head, right) = unpack(state), unpack(other_state)
    names, other_names = list(head.get("arms") or ()), list(other_head.get("arms") or ())
    common = [name for name in names if name in other_names]
    if any(abs(tally.get(name, {}).get("weight", 0.0)) for tally in tallies for name in set(names) ^ set(other_names)):
        return math.inf
    difference = 0.0 if left.keys() == right.keys() else math.inf
    for name in left.keys() & right.keys():
        rows = _rows(left[name], names, common)
        other_rows = _rows(right[name], other_names, common)
        same_shape = rows.shape == other_rows.shape
        difference = max(difference, float(np.abs(rows - other_rows).max(initial=0.0)) if same_shape else math.inf)
    return difference


def _rows(values: np.ndarray, names: list[str], arms: list[str]) -> np.ndarray:
    """Return the rows of the arms wanted, in that order, where an array has a row per arm."""
    per_arm = names and values.ndim and len(values) == len(names)
    return values[[names.index(name) for name in arms]] if per_arm else values


def _tallies_apart(left: dict[str, Any], right: dict[str, Any]) -> float:
    difference = 0.0
    for name in (left.keys() | right.keys()) - {FITS, PREFILL, ANSWER_RATES}:
        if name == AMOUNTS:
            amounts, other_amounts = (CallAmounts.from_json(sums.get(name, {})) for sums in (left, right))
            difference = max(difference, amounts.distance(other_amounts))
            continue
        if name == GATES:
            tenants = left.get(name, {}), right.get(name, {})
            for tenant in tenants[0].keys() | tenants[1].keys():
                gates, other_gates = (Gates.from_json(states.get(tenant, {})) for states in tenants)
                difference = max(difference, gates.distance(other_gates))
            continue
        if name == CONTROLS:
            controls, other_controls = (ControlTally.from_json(sums.get(name, {})) for sums in (left, right))
            difference = max(difference, controls.distance(other_controls))
            continue
        if name == EFFICIENCY:
            efficiency, other_efficiency = (EfficiencyTally.from_json(sums.get(name, [])) for sums in (left, right))
            difference = max(difference, efficiency.distance(other_efficiency))
            continue
        if name == HISTORY:
            if name in left and name in right:  # else one is of a release without it
                history, other_history = (History.from_json(sums[name]) for sums in (left, right))
                difference = max(difference, history.distance(other_history))
            continue
        if name == OVERLAP:
            difference = max(difference, _cells_apart(left.get(name, []), right.get(name, [])))
            continue
        counts, other_counts = left.get(name, {}), right.get(name, {})
        counted = (counts.keys() | other_counts.keys()) - {"recent"}
        difference = max(difference, *(abs(counts.get(key, 0) - other_counts.get(key, 0)) for key in counted))
    return difference


def _cells_apart(left: list[list[Any]], right: list[list[Any]]) -> float:
    cells, other_cells = ({tuple(row[:5]): row[5:] for row in rows} for rows in (left, right))
    nothing = [0.0] * 4
    pairs = ((cells.get(cell, nothing), other_cells.get(cell, nothing)) for cell in cells.keys() | other_cells.keys())
    return max((abs(a - b) for sums, other_sums in pairs for a, b in zip(sums, other_sums, strict=True)), default=0.0)
