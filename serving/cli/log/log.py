"""The commands that fold the log: `learn`, `rebuild`, and what `erase` needs of it."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
import redis.asyncio as aioredis

from highwayman.env.errors import ConfigError, HighwaymanError, SnapshotError
from highwayman.env.tasks import cancel_and_wait
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.manifest import ArchiveManifest
from highwayman.feedback.fold.log_fold import LogFold, Page, Pages, fold_log, snapshot_difference
from highwayman.feedback.learning.publications import Published
from highwayman.feedback.log.event_id import START, EventId, sort_key
from highwayman.feedback.log.store import GRACE_S
from highwayman.feedback.log.upkeep.erasure import ErasableArchive, Erasure
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.trust.shared_influence import forget_influence
from highwayman.serving.cli.context import LogOptions, log_options, print_report
from highwayman.serving.completions.answer_cache.answer_store import AnswerStore
from highwayman.serving.state.learner_factory import LearnerFactory

_EQUAL = 1e-9  # learned states closer than this are the same, but for the order of sums
_LEASE_S = 6.0  # longer than a lease is held without being renewed
_LOOK_S = 0.2
_EXPORT_S = 60.0  # an export under way may take as long

log = logging.getLogger(__name__)

_json = click.option("--json", "as_json", is_flag=True, help="For machines.")


class NotEqual(HighwaymanError):
    """What is published is not the fold of the log."""


@click.command()
@log_options
async def learn(options: LogOptions) -> None:
    """Learn from the log without serving: stand by for the lease, fold, publish."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with options.open(for_learning=True) as (client, factory):
        log.info("standing by to learn lineage %s", factory.lineage)
        async with _working(client, factory) as working:
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait({stopped, working}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if working.done():
                working.result()


@click.command()
@click.option("--from", "archive", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="A folder `export` has written: what is no longer on the log is read from there.")  # fmt: skip
@click.option("--publish", is_flag=True, help="Put the state found in force, instead of comparing.")
@_json
@log_options
async def rebuild(options: LogOptions, archive: Path | None, publish: bool, as_json: bool) -> None:
    """Fold the whole log again, and compare with what is published (exit code 1 if they differ)."""
    async with options.open() as (client, factory):
        if publish:
            fold = await _refolded(client, factory, archive, upto=None)
            version = await _put_in_force(client, factory, fold)
            print_report(
                {"events": fold.events, "position": fold.learner.position, "version": version},
                as_json=as_json,
                of=factory,
            )
            return
        published = await factory.publications(client).load()
        if published is None:
            raise ConfigError(f"nothing is published for lineage {factory.lineage}; is this the router's --config?")
        report, equal = await _compared(client, factory, archive, published)
    print_report(report, as_json=as_json, of=factory)
    if not equal:
        raise NotEqual("what is published is not the fold of the log; see the differences above")


async def run_erasure(
    client: "aioredis.Redis",
    factory: LearnerFactory,
    folder: Path | None,
    new_erasure: Callable[[Retention, ErasableArchive | None], Erasure],
) -> tuple[dict[str, Any], bool]:
    """Erase what stands under some pseudonyms or came with some keys; return what was done, and whether proven."""
    retention = factory.retention(client)
    archive = open_archive(folder, factory) if folder is not None else None
    with archive.exclusive(patience_s=_EXPORT_S) if archive is not None else nullcontext():
        erasure = new_erasure(retention, archive)
        events = await erasure.find()
        decisions = sum(erased.whole for erased in erasure.found.values())
        namespace = factory.config.namespace
        await forget_influence(client, namespace, tenants=erasure.tenants, pseudonyms=erasure.pseudonyms)
        last = await erasure.put_markers(at=time.time())
        async with _working(client, factory):
            dropped = await _settled(client, factory, erasure, last)
        for lineage in await retention.positions():
            await factory.version_history(client, lineage=lineage).drop_before(last)
        removed_from_log, removed_from_archive = await erasure.forget()
        remaining = await erasure.find()
        answers = AnswerStore(client, namespace, clock=time.time)
        stored_answers = await answers.forget(erasure.pseudonyms, is_meant=erasure.is_meant)
    published = await factory.publications(client).load()
    report: dict[str, Any] = {
        "decisions": decisions,
        "events_found": events,
        "taken_off_the_log": removed_from_log,
        "taken_out_of_the_archive": removed_from_archive,
        "states_dropped": dropped,
        "stored_answers_removed": stored_answers,
        "events_left": remaining,
    }
    if published is None:
        return report, not remaining
    compared, equal = await _compared(client, factory, folder, published)
    return {**report, **compared}, equal and not remaining


async def _settled(client: "aioredis.Redis", factory: LearnerFactory, erasure: Erasure, last: EventId) -> list[str]:
    """Return when every state has followed the erasures; drop, and return, those that no learner tends."""
    retention = factory.retention(client)
    lagging = await erasure.lagging_lineages(last)
    while factory.lineage in lagging or any(lagging.values()):
        await asyncio.sleep(_LOOK_S)
        lagging = await erasure.lagging_lineages(last)
    if lagging:
        await asyncio.sleep(_LEASE_S)  # a learner may be taking over just now
        lagging = await erasure.lagging_lineages(last)
    dropped = [lineage for lineage, has_learner in lagging.items() if not has_learner]
    for lineage in dropped:
        await retention.drop_lineage(lineage)
    return dropped


async def _compared(
    client: "aioredis.Redis", factory: LearnerFactory, folder: Path | None, published: Published
) -> tuple[dict[str, Any], bool]:
    """Return how the published state compares with a fold of the log, and whether they are the same."""
    position = published.snapshot.position
    missing = await _missing(client, factory, folder)
    report: dict[str, Any] = {"position": position, "log_is_whole": missing is None}
    if missing is not None:
        return {**report, "equal": None, "why_not_compared": missing}, True
    fold = await _refolded(client, factory, folder, upto=position)
    difference = snapshot_difference(published.snapshot, fold.learner.snapshot(), blank=factory.blank_state)
    equal = difference.largest <= _EQUAL
    return {
        **report,
        "events": fold.events,
        "policy_difference": difference.policy,
        "tally_difference": difference.tally,
        "equal": equal,
    }, equal


async def _missing(client: "aioredis.Redis", factory: LearnerFactory, folder: Path | None) -> str | None:
    """Return in words what is missing for a fold from the beginning, None if nothing is."""
    trimmed = await factory.store(client).trimmed_upto()
    if folder is None:
        message = f"events up to {trimmed} have left the log; give the folder they were exported to"
        return message if trimmed != START else None
    archive = open_archive(folder, factory)
    gaps = [f"({gap.after}, {gap.upto}]" for gap in ArchiveManifest(archive).gaps()]
    if sort_key(archive.last()) < sort_key(trimmed):
        gaps.append(f"({archive.last()}, {trimmed}]")
    return f"events of {', '.join(gaps)} are neither in the archive nor on the log" if gaps else None


def open_archive(folder: Path, factory: LearnerFactory) -> Archive:
    """Return the archive in the folder. Raises ArchiveError if it is another namespace's."""
    archive = Archive(folder)
    ArchiveManifest(archive).claim(factory.config.namespace)
    return archive


async def _refolded(
    client: "aioredis.Redis", factory: LearnerFactory, folder: Path | None, *, upto: EventId | None
) -> LogFold:
    kept_s = factory.config.limits.feedback_window_s + GRACE_S
    return await fold_log(_pages(client, factory, folder), factory.learner, kept_s=kept_s, upto=upto)


def _pages(client: "aioredis.Redis", factory: LearnerFactory, folder: Path | None) -> Pages:
    """Return the whole log: the archive, then what came after it."""

    async def pages() -> AsyncIterator[Page]:
        after = START
        if folder is not None:
            for page in open_archive(folder, factory).read():
                yield page
                after = page[-1][0]
        async for page in factory.retention(client).scan(after):
            yield page

    return pages


async def _put_in_force(client: "aioredis.Redis", factory: LearnerFactory, fold: LogFold) -> int:
    publications = factory.publications(client)
    try:
        published = await publications.load()
    except SnapshotError:
        published = None  # damaged, which may be why it is rebuilt
    if published is not None and sort_key(published.snapshot.position) > sort_key(fold.learner.position):
        raise ConfigError(f"the log ends at {fold.learner.position}, before what is published; nothing was changed")
    version = await publications.force_publish(fold.learner.snapshot(), holder="rebuild", at=time.time())
    if version is None:
        raise ConfigError("another learner took over meanwhile; nothing was changed, try again")
    return version


@asynccontextmanager
async def _working(client: "aioredis.Redis", factory: LearnerFactory) -> AsyncIterator["asyncio.Task[None]"]:
    """Let learners of our own stand by for the leases meanwhile."""
    workers = factory.worker(client), *factory.contender_workers(client)
    working = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield asyncio.create_task(_first_ended(working))
    finally:
        for task in working:
            await cancel_and_wait(task)


async def _first_ended(working: "Sequence[asyncio.Task[None]]") -> None:
    """Return when one has ended, as none should; raises what it did."""
    done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
