"""The promises of exactly-once, checked against what is on the log and in force, once a fault is over."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from highwayman.bandit.snapshot import unpack
from highwayman.env.types import Decision, Feedback, Outcome, Status
from highwayman.feedback.fold.log_fold import Page, fold_log, snapshot_difference
from highwayman.feedback.log.event_id import START, EventId
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.store import GRACE_S, Keys
from highwayman.serving.state.learner_factory import LearnerFactory
from tests.faults.clients import Memory, Statement
from tests.faults.processes import OUTCOME_S, World

EQUAL = 1e-9
_SLACK_S = 5.0  # beyond limits.outcome_s: the holder of the lease looks about every second, where there is one
_WITHIN_S = 45.0
_LOOK_S = 0.1


@dataclass(slots=True)
class Log:
    """What is on a log."""

    pages: list[Page] = field(default_factory=list)
    decisions: Counter[str] = field(default_factory=Counter)
    decided_at: dict[str, float] = field(default_factory=dict)
    outcomes: defaultdict[str, list[Status]] = field(default_factory=lambda: defaultdict(list))
    feedback: Counter[str] = field(default_factory=Counter)
    statements: dict[str, Feedback] = field(default_factory=dict)

    def add(self, page: Page) -> None:
        """Take a page in."""
        self.pages.append(page)
        for event in (decode(data) for _, data, _ in page):
            if isinstance(event, Decision):
                self.decisions[event.id] += 1
                self.decided_at[event.id] = event.at
            elif isinstance(event, Outcome):
                self.outcomes[event.decision_id].append(event.status)
            elif isinstance(event, Feedback):
                self.feedback[event.id] += 1
                self.statements[event.id] = event

    def open_since(self, before: float) -> list[str]:
        """Return decisions made before `before` (seconds since the epoch) that have no outcome."""
        return [name for name, at in self.decided_at.items() if at < before and name not in self.outcomes]


@dataclass(frozen=True, slots=True)
class Audited:
    """What was found, for a report."""

    events: int
    decisions: int
    lost_outcomes: int
    statements: int
    unlogged: int  # answers whose decision is not on the log
    apart: float
    arrays: dict[str, Any]  # of the policy published
    tally: bytes


async def audit(world: World, memory: Memory | None = None, *, unlogged: int = 0, finished: bool = True) -> Audited:
    """Wait until the learner is at the log's end; return what was found, if all promises hold.

    Args:
        world: with nobody asking any more.
        memory: of those who asked.
        unlogged: how many answers may have a decision that neither the log nor the spool took.
        finished: wait until every decision has an outcome, beside those that are too old to have none.
    """
    await asyncio.gather(*(router.until(degraded=False, spooled_events=0) for router in world.routers))
    found = await audit_log(world, world.learning, memory or Memory(), unlogged=unlogged, finished=finished)
    for process in (*world.routers, *world.learners):
        said = process.log(whole=True)
        for words in ("Traceback (most recent call last)", " CRITICAL "):
            assert words not in said, f"{process.name} wrote: {said[max(said.index(words) - 200, 0) :][:3000]}"
    return found


async def audit_log(
    world: World, learning: LearnerFactory, memory: Memory, *, unlogged: int = 0, finished: bool = True
) -> Audited:
    """Check one namespace's log and what is published of it."""
    log = await _settled(world, learning, memory, finished=finished)
    _no_event_twice(log)
    _all_statements_once(log, memory)
    missing = [name for name in dict.fromkeys(memory.begun) if name not in log.decisions]
    assert len(missing) <= unlogged, f"{len(missing)} answers are not on the log, {unlogged} may be: {missing[:5]}"
    assert not memory.surprises, f"clients were told: {memory.surprises.most_common(5)}"
    async with world.client() as client:
        assert await client.xlen(Keys(learning.config.namespace)("dead")) == 0, "there are dead letters"
        published = await learning.publications(client).load()
    assert published is not None

    async def pages() -> AsyncIterator[Page]:
        for page in log.pages:
            yield page

    kept_s = learning.config.limits.feedback_window_s + GRACE_S
    whole = await fold_log(pages, learning.learner, kept_s=kept_s)
    apart = snapshot_difference(published.snapshot, whole.learner.snapshot())
    assert apart.largest <= EQUAL, f"what is published is not the fold of the log: {apart}"
    return Audited(
        events=whole.events,
        decisions=len(log.decisions),
        lost_outcomes=sum(Status.LOST in statuses for statuses in log.outcomes.values()),
        statements=len(log.statements),
        unlogged=len(missing),
        apart=apart.largest,
        arrays=unpack(published.snapshot.policy)[1],
        tally=published.snapshot.tally,
    )


async def _settled(world: World, learning: LearnerFactory, memory: Memory, *, finished: bool) -> Log:
    """Return the log once all of it is learned and nothing is missing that may still be on its way."""
    log, position, last, late = Log(), "nothing", START, ["not looked yet"]
    try:
        async with asyncio.timeout(_WITHIN_S):
            while True:
                log, last, position = await _looked(world, learning, log, last)
                late = log.open_since(time.time() if finished else time.time() - OUTCOME_S - _SLACK_S)
                if position == last and not late and not _missing(log, memory):
                    return log
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        if position == last and not late:
            return log
        raise AssertionError(
            f"the learner is at {position}, the log ends at {last}; "
            f"{len(late)} decisions of {len(log.decisions)} have no outcome, such as {late[:3]}"
        ) from None


async def _looked(world: World, learning: LearnerFactory, log: Log, last: EventId) -> tuple[Log, EventId, EventId]:
    """Return the log as it is now, the id of its last event, and up to where it is learned."""
    async with world.client() as client:
        published = await learning.publications(client).load()
        async for page in learning.retention(client).scan(last):
            log.add(page)
            last = page[-1][0]
    return log, last, published.snapshot.position if published is not None else "nothing"


def _no_event_twice(log: Log) -> None:
    for what, counts in (("decision", log.decisions), ("statement", log.feedback)):
        twice = [name for name, count in counts.items() if count > 1]
        assert not twice, f"{len(twice)} {what}s are on the log more than once: {twice[:5]}"
    for name, statuses in log.outcomes.items():
        assert statuses.count(Status.LOST) <= 1, f"{name} was given up more than once: {statuses}"
        assert len(statuses) - statuses.count(Status.LOST) <= 1, f"{name} ended more than once: {statuses}"
        assert Status.LOST not in statuses[1:], f"{name} was given up after it had ended: {statuses}"


def _missing(log: Log, memory: Memory) -> dict[str, Statement]:
    return {name: one for name, one in memory.said.items() if name not in log.statements}


def _all_statements_once(log: Log, memory: Memory) -> None:
    missing = _missing(log, memory)
    assert not missing, f"{len(missing)} of {len(memory.said)} acknowledged statements are lost: {missing}"
    for name, told in memory.said.items():
        found = log.statements[name]
        assert (found.decision_id, found.value) == (told.decision_id, told.value), f"{name} is on the log as {found}"
