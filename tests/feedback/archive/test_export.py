import asyncio
import json
import random
import string
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from highwayman.feedback.archive.archive import Archive, ArchiveError
from highwayman.feedback.archive.export import ExportResult, export
from highwayman.feedback.archive.manifest import ArchiveManifest, Gap
from highwayman.feedback.archive.rows import Row
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import encode
from highwayman.feedback.log.store import GRACE_S, Keys, Store
from highwayman.feedback.log.upkeep.retention import Retention
from tests.feedback.worlds import decision, outcome, thumb


class Log:
    """A log in Redis and the archive of it."""

    def __init__(self, client: aioredis.Redis, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self.client = client
        self.keys = Keys(namespace)
        self.store = Store(client, namespace)
        self.retention = Retention(client, namespace, window_s=60)
        self.archive = Archive(folder)
        self.prompt = "What is the capital of France?"

    async def fill(self, count: int, *, since: int = 1) -> None:
        """Append events of long ago, with ids that begin at `since` milliseconds."""
        asked = replace(decision("d"), prompt=self.prompt)
        kinds = [encode(event) for event in (asked, outcome("d"), thumb("d", 1.0))]
        for start in range(0, count, 10_000):
            pipeline = self.client.pipeline(transaction=False)
            for number in range(start, min(start + 10_000, count)):
                fields = {"e": kinds[number % 3], **({"j": ""} if number % 7 == 0 else {})}
                pipeline.xadd(self.keys("log"), fields, id=f"{since + number // 2}-{number % 2}")  # type: ignore[arg-type]
            await pipeline.execute()

    async def export(self, **options: object) -> ExportResult:
        return await export(self.retention, self.archive, store=self.store, namespace=self.namespace, **options)  # type: ignore[arg-type]

    async def rows(self) -> list[Row]:
        return [row async for page in self.retention.scan(START) for row in page]

    async def trim(self, event_id: str) -> None:
        """Let retention take off the log what comes before `event_id`."""
        milliseconds = int(event_id.partition("-")[0])
        await self.client.sadd(self.keys("lineages"), "l")  # type: ignore[misc]
        await self.client.hset(self.keys("policy", "l"), "position", event_id)  # type: ignore[misc]
        now = (milliseconds + 0.5) / 1000 + 60 + GRACE_S
        await self.retention.trim(keep_s=0, now=now, exported_only=False, lineage="l")

    def archived(self) -> list[Row]:
        return [row for page in self.archive.read() for row in page]


@pytest.fixture
def log(redis_client: aioredis.Redis, namespace: str, tmp_path: Path) -> Log:
    return Log(redis_client, namespace, tmp_path / "archive")


async def test_the_archive_holds_the_log_in_parts_and_the_log_knows_it(log: Log) -> None:
    await log.fill(2500)
    found = await log.export(part_events=1000)
    assert (found.events, found.parts, found.gaps) == (2500, 3, ())
    assert log.archived() == await log.rows()
    assert found.last == log.archive.last() == await log.retention.exported_upto() == await log.retention.last()


async def test_an_export_goes_on_where_the_last_one_ended(log: Log) -> None:
    await log.fill(30)
    await log.export()
    assert (await log.export()) == ExportResult(0, 0, log.archive.last(), ())
    await log.fill(20, since=100)
    assert (await log.export()).events == 20
    assert log.archived() == await log.rows()


async def test_an_empty_log_makes_an_empty_archive(log: Log) -> None:
    assert await log.export() == ExportResult(0, 0, START, ())
    assert (log.archived(), log.archive.files(), await log.retention.exported_upto()) == ([], [], START)


async def test_an_export_killed_before_it_could_say_so_is_marked_by_the_next(log: Log) -> None:
    await log.fill(30)
    await log.export()
    await log.client.delete(log.keys("exported"))
    assert (await log.export()).events == 0
    assert await log.retention.exported_upto() == log.archive.last()


async def test_the_newest_events_are_waited_for_until_no_server_loses_them(log: Log) -> None:
    await log.store.put(decision("d"))
    began = time.monotonic()
    found = await log.export(upto_age_s=0.3)
    assert (found.events, log.archived()) == (1, await log.rows())
    assert 0.2 < time.monotonic() - began < 2


async def test_long_prompts_make_shorter_parts(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("highwayman.feedback.archive.export.PART_BYTES", 1000)
    await log.fill(30)
    assert (await log.export()).parts == 3
    assert log.archived() == await log.rows()


async def test_what_left_the_log_before_it_was_exported_is_told_and_noted(log: Log) -> None:
    await log.fill(10)  # 1-0 ... 5-1
    await log.export()
    await log.fill(10, since=11)  # 11-0 ... 15-1
    await log.trim("13-0")
    found = await log.export()
    assert (found.gaps, found.events) == ((Gap("5-1", "12-1"),), 6)
    assert (await log.export()).gaps == ()
    assert ArchiveManifest(log.archive).gaps() == [Gap("5-1", "12-1")]


async def test_an_archive_begun_late_says_what_it_lacks(log: Log) -> None:
    await log.fill(10)
    await log.trim("3-0")
    assert (await log.export()).gaps == (Gap(START, "2-1"),)


async def test_a_log_trimmed_to_nothing_is_a_gap_that_grows(log: Log) -> None:
    await log.fill(2)
    await log.export()
    await log.fill(4, since=11)
    await log.client.set(log.keys("trimmed"), "11-1")
    await log.client.xtrim(log.keys("log"), minid="13-0")
    assert (await log.export()).gaps == (Gap("1-1", "11-1"),)
    await log.client.set(log.keys("trimmed"), "12-1")
    await log.fill(2, since=21)
    assert (await log.export()).gaps == (Gap("1-1", "12-1"),)
    assert ArchiveManifest(log.archive).gaps() == [Gap("1-1", "12-1")]


async def test_a_log_trimmed_of_what_was_exported_has_no_gap(log: Log) -> None:
    await log.fill(10)
    await log.export()
    await log.trim("4-0")
    await log.fill(4, since=11)
    assert (await log.export()).gaps == ()


async def test_a_log_trimmed_while_it_is_exported_is_told_too(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await log.fill(3000)
    mark_exported = log.retention.mark_exported

    async def trimming_meanwhile(event_id: str) -> None:
        await mark_exported(event_id)
        if event_id == "250-1":  # the first part is written, half a page waits, the next one is not read yet
            await log.trim("1301-0")

    monkeypatch.setattr(log.retention, "mark_exported", trimming_meanwhile)
    found = await log.export(part_events=500)
    assert (found.gaps, found.events) == ((Gap("500-1", "1300-1"),), 1400)
    assert ArchiveManifest(log.archive).gaps() == [Gap("500-1", "1300-1")]


async def test_the_folder_of_another_namespace_is_refused(log: Log) -> None:
    await log.fill(3)
    await log.export()
    other = Log(log.client, log.namespace + "-other", log.archive.folder)
    await other.fill(5, since=100)
    with pytest.raises(ArchiveError, match=f"{log.namespace}.*another folder"):
        await other.export()
    assert await other.retention.exported_upto() == START
    assert log.archived() == await log.rows()


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (None, "is missing"),
        ("nonsense", "no card"),
        ("[]", "no card"),
        ('{"version": 1}', "no card"),
        ('{"version": 2, "names": []}', "schema version 2, this version reads 1"),
    ],
)
async def test_parts_whose_card_cannot_be_read_are_not_added_to(log: Log, card: str | None, said: str) -> None:
    await log.fill(3)
    await log.export()
    path = log.archive.folder / "_archive.json"
    path.unlink() if card is None else path.write_text(card)
    await log.fill(3, since=100)
    with pytest.raises(ArchiveError, match=said) as told:
        await log.export()
    assert str(path) in str(told.value)
    assert len(log.archive.files()) == 1


async def test_behind_a_damaged_part_nothing_is_added_or_marked(log: Log) -> None:
    await log.fill(3)
    await log.export()
    part = log.archive.files()[0].path
    part.write_bytes(part.read_bytes()[:-20])
    await log.client.delete(log.keys("exported"))
    await log.fill(3, since=100)
    with pytest.raises(ArchiveError, match=part.name):
        await log.export()
    assert (len(log.archive.files()), await log.retention.exported_upto()) == (1, START)


async def test_a_second_export_to_the_folder_is_refused_meanwhile(log: Log) -> None:
    with Archive(log.archive.folder).exclusive(), pytest.raises(ArchiveError, match="another export"):
        await log.export()


def exporting(code: str, log: Log, url: str) -> "subprocess.Popen[str]":
    """Run `code` with an export of the log at hand in a process of its own."""
    program = f"""
import asyncio, json, sys
from pathlib import Path
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.export import export
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.log.store import Store

def memory():
    # The most it ever had; getrusage would also count what the parent had when it forked.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024

async def main():
    client = connect({url!r})
    archive = Archive(Path({str(log.archive.folder)!r}))
    retention, store = Retention(client, {log.namespace!r}, window_s=60), Store(client, {log.namespace!r})
{textwrap.indent(textwrap.dedent(code), "    ")}
    await client.aclose()

asyncio.run(main())
"""
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def test_an_export_killed_midway_is_gone_on_with_and_the_archive_holds_the_log_once(
    log: Log, valkey_url: str
) -> None:
    await log.fill(20_000)
    code = f"await export(retention, archive, store=store, namespace={log.namespace!r}, part_events=500)"
    for parts in (2, 9, 17):
        with exporting(code, log, valkey_url) as process:
            while len(log.archive.files()) < parts and process.poll() is None:
                await asyncio.sleep(0.001)
            process.kill()
        assert process.returncode == -9
        log.archive.check()
    killed = len(log.archive.files())
    assert 17 <= killed < 40
    assert (await log.export()).events == 20_000 - 500 * killed
    assert log.archived() == await log.rows()
    assert not list(log.archive.folder.glob(".events*"))


@pytest.mark.timeout(120)
async def test_a_log_seven_times_as_long_takes_no_more_memory_to_export_or_to_read(log: Log, valkey_url: str) -> None:
    code = f"""
    async def both():
        found = await export(retention, archive, store=store, namespace={log.namespace!r}, part_events=500)
        return found.events, sum(len(page) for page in archive.read())

    await both()
    before = memory()
    print("ready", flush=True)
    sys.stdin.readline()
    exported, read = await both()
    print(json.dumps({{"exported": exported, "read": read, "more": memory() - before}}))
    """
    log.prompt = "".join(random.Random(1).choices(string.printable, k=30_000))
    await log.fill(1_500)
    with exporting(code, log, valkey_url) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        await log.fill(10_000, since=100_000)
        process.stdin.write("go\n")
        process.stdin.close()
        found = json.loads(await asyncio.to_thread(process.stdout.readline))
    assert (found["exported"], found["read"]) == (10_000, 11_500)
    assert found["more"] < 50 * 2**20  # of the 100 MB by which the log grew
