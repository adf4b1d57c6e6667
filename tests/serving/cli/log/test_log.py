"""`learn`, `rebuild`, `erase` and `snapshot` as an operator runs them, on a log in a real Valkey."""

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
import redis.asyncio as aioredis
from click.testing import CliRunner, Result

from highwayman.bandit.snapshot import unpack
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Decision
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.intake.decision_ids import pseudonym
from highwayman.feedback.learning.publications import Published
from highwayman.feedback.log.event_id import START, sort_key
from highwayman.feedback.log.events import Event, decode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys, Store
from highwayman.serving.cli.main import main
from highwayman.serving.completions.answer_cache.answer_store import AnswerRow, AnswerStore, StoredAnswer
from highwayman.serving.config.config import load_config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from tests.feedback.worlds import context, decision, outcome, thumb

WITHIN_S = 30.0


class World:
    """A namespace in the session's Valkey, its configuration, and learners run as processes."""

    def __init__(self, url: str, namespace: str, folder: Path) -> None:
        self.url, self.namespace, self.folder = url, namespace, folder
        self.config = folder / "highwayman.yaml"
        self.config.write_text(f"namespace: {namespace}\nretention: {{version_every_s: 0}}\n")
        self.options = ["--config", str(self.config), "--redis-url", url]
        self.learning = LearnerFactory(load_config(self.config), (), warm_encoder(load_config(self.config)))

    def run(self, *words: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [*map(str, words), *self.options])
        assert result.exit_code == code, result.output
        return result

    def json(self, *words: object, code: int = 0) -> dict[str, Any]:
        output = self.run(*words, "--json", code=code).output
        return dict(json.loads(output.splitlines()[0]))

    def at(self, work: Callable[["aioredis.Redis"], Awaitable[Any]]) -> Any:
        """What `work` returns, given a client."""

        async def whole() -> Any:
            client = connect(self.url)
            try:
                return await work(client)
            finally:
                await client.aclose()

        return asyncio.run(whole())

    def put(self, *events: Any) -> None:
        self.at(lambda client: Store(client, self.namespace).put_all(events))

    def log(self) -> list[Event]:
        found = self.at(lambda client: Store(client, self.namespace).read(START, count=9999, block_s=0))
        return [decode(data) for _, data, _ in found]

    def published(self) -> Published | None:
        found = self.at(lambda client: self.learning.publications(client).load())
        assert found is None or isinstance(found, Published)
        return found

    def decision(self, name: str, *, user: str = "", x: float = 0.5) -> Decision:
        """A decision on features as this configuration's encoder makes them."""
        d, fingerprint = self.learning.encoder.d, self.learning.encoder.fingerprint
        at = context(*([x] * (d - 1)), 1.0, fingerprint=fingerprint)
        return replace(decision(name, at=at), user=user)

    def learned(self) -> Published:
        """What is published once the whole log is learned, by a learner that is run for it."""

        async def work(client: "aioredis.Redis") -> Published:
            working = asyncio.create_task(self.learning.worker(client).run())
            try:
                return await self._until(client, await self.learning.retention(client).last())
            finally:
                await cancel_and_wait(working)

        found = self.at(work)
        assert isinstance(found, Published)
        return found

    @contextmanager
    def learner(self) -> Iterator[None]:
        """A `highwayman learn` while the block lasts, once it has come to the log's end."""
        last = self.at(lambda client: self.learning.retention(client).last())
        process = Popen([sys.executable, "-m", "highwayman.serving.cli.main", "learn", *self.options], stderr=PIPE)
        try:
            self.at(lambda client: self._until(client, last))
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, told.decode()

    async def _until(self, client: "aioredis.Redis", last: str) -> Published:
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = await self.learning.publications(client).load()
                if found is not None and sort_key(found.snapshot.position) >= sort_key(last):
                    return found
                await asyncio.sleep(0.05)

    def sums(self) -> list[list[float]]:
        found = self.published()
        assert found is not None
        return [list(row) for row in unpack(found.snapshot.policy)[1]["sums"]]


@pytest.fixture
def world(valkey_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.delenv("REDIS_URL", raising=False)
    return World(valkey_url, namespace, tmp_path)


def test_a_learner_alone_publishes_what_rebuild_finds_equal(world: World) -> None:
    world.put(world.decision("d"), outcome("d"), thumb("d", 1.0))
    with world.learner():
        pass
    published = world.published()
    found = world.json("rebuild")
    assert published is not None
    assert (found["equal"], found["events"], found["position"]) == (True, 3, published.snapshot.position)
    assert found["policy_difference"] == found["tally_difference"] == 0.0


def test_rebuild_tells_a_state_that_is_not_the_logs_and_puts_the_right_one_in_force(world: World) -> None:
    world.put(world.decision("d"), outcome("d"), thumb("d", 1.0))
    world.learned()

    async def tamper(client: "aioredis.Redis") -> None:
        learner = world.learning.learner()
        stray = Keys(world.namespace)("policy", world.learning.lineage)
        await client.hset(stray, "policy", learner.snapshot().policy)

    world.at(tamper)
    result = world.run("rebuild", code=1)
    assert re.search(r"^equal +no$", result.output, re.MULTILINE)
    assert "is not the fold of the log" in result.output
    assert world.json("rebuild", "--publish")["events"] == 3
    assert world.json("rebuild")["equal"] is True


@pytest.mark.parametrize("field", ["policy", "tally", "position", "rollbacks"])
def test_what_is_damaged_in_redis_is_rebuilt_and_put_in_force(world: World, field: str) -> None:
    world.put(world.decision("d"), outcome("d"), thumb("d", 1.0))
    world.learned()
    published = Keys(world.namespace)("policy", world.learning.lineage)
    world.at(lambda client: client.hset(published, field, b"rubbish"))
    assert world.json("rebuild", "--publish")["events"] == 3
    assert world.json("rebuild")["equal"] is True


def test_a_trimmed_log_is_rebuilt_from_its_archive_and_not_guessed_at_without(world: World) -> None:
    world.put(world.decision("d"), outcome("d"), thumb("d", 1.0))
    world.learned()
    archive = world.folder / "archive"
    world.run("export", "--to", archive)

    async def trim(client: "aioredis.Redis") -> None:
        retention, lineage = world.learning.retention(client), world.learning.lineage
        position = (await retention.positions())[lineage]
        far = int(position.partition("-")[0]) / 1000 + 30 * 24 * 3600
        assert await retention.trim(keep_s=60, now=far, exported_only=True, lineage=lineage) == 2

    world.at(trim)
    world.put(world.decision("e"), outcome("e"), thumb("e", 0.0))
    world.learned()
    alone = world.json("rebuild")
    assert (alone["equal"], alone["log_is_whole"]) == (None, False)
    assert "give the folder they were exported to" in alone["why_not_compared"]
    whole = world.json("rebuild", "--from", archive)
    assert (whole["equal"], whole["events"]) == (True, 6)


def test_erasing_a_person_takes_them_out_of_everything_and_leaves_the_others(world: World) -> None:
    secret = b"s" * 32
    world.at(lambda client: Store(client, world.namespace).secrets(secret, issued=False))
    ann = pseudonym(secret, "ann@example.org")
    world.put(
        world.decision("hers", user=ann), outcome("hers"), thumb("hers", 1.0),
        world.decision("his", x=-0.25), outcome("his"), thumb("his", 0.0), thumb("his", 1.0, user=ann),
    )  # fmt: skip
    world.learned()
    archive = world.folder / "archive"
    world.run("export", "--to", archive)
    world.put(world.decision("hers too", user=ann), thumb("hers too", 0.0))

    found = world.json("erase", "--yes", "--user", "ann@example.org", "--archive", archive)
    assert (found["decisions"], found["events_found"], found["events_left"]) == (2, 6, 0)
    assert (found["taken_off_the_log"], found["taken_out_of_the_archive"]) == (6, 4)
    assert found["equal"] is True
    assert found["policy_difference"] < 1e-9
    names = [getattr(event, "decision_id", None) or getattr(event, "id", "-") for event in world.log()]
    assert names == ["his", "his", "his", "-", "-", "-"]
    kept = [decode(data) for page in Archive(archive).read() for _, data, _ in page]
    assert all(getattr(event, "user", "") != ann for event in [*kept, *world.log()])
    assert [row[0] for row in world.sums()] == [1.0]
    again = world.json("erase", "--yes", "--user", "ann@example.org", "--archive", archive)
    assert (again["events_found"], again["equal"]) == (0, True)


def test_a_rollback_forgets_the_feedback_that_came_after_and_learns_on(world: World) -> None:
    world.put(world.decision("d"), outcome("d"), thumb("d", 1.0))
    version = world.learned().stamp.version
    listed = world.run("snapshot", "list").output
    assert re.search(rf"^ +{version} ", listed, re.MULTILINE)
    world.put(world.decision("e"), *(thumb("e", 0.0, user=f"u{k}") for k in range(5)))
    world.learned()
    assert world.sums()[0][0] == 6.0

    world.put(world.decision("x"), outcome("x"))
    with world.learner():
        world.run("snapshot", "rollback", version)
        assert world.sums()[0][0] == 1.0
        world.put(thumb("e", 1.0, user="u9"))
    world.learned()
    assert world.sums()[0][0] == 2.0
    assert world.json("rebuild")["equal"] is True


def test_a_version_that_is_not_kept_is_told_with_those_that_are(world: World) -> None:
    world.put(world.decision("d"), thumb("d", 1.0))
    version = world.learned().stamp.version
    assert f"version 999 is not kept; kept are 1, {version}\n" in world.run("snapshot", "rollback", 999, code=1).output


def test_a_saved_snapshot_is_restored_and_the_log_learned_from_there_on(world: World) -> None:
    world.put(world.decision("d"), thumb("d", 1.0))
    world.learned()
    file = world.folder / "learned.hwym"
    world.run("snapshot", "save", file)
    world.put(thumb("d", 0.0, at=1_700_000_009.0))
    after = world.learned()
    restored = world.json("snapshot", "restore", file)
    assert restored["version"] == after.stamp.version + 1
    assert world.sums() == [[1.0, 1.0]]
    world.learned()
    assert world.sums() == [[1.0, 0.0]]


@pytest.mark.parametrize("damage", [b"rubbish", None])
def test_a_snapshot_file_that_cannot_be_used_is_named_and_nothing_changes(world: World, damage: bytes | None) -> None:
    world.put(world.decision("d"), thumb("d", 1.0))
    before = world.learned()
    file = world.folder / "learned.hwym"
    if damage is not None:
        file.write_bytes(damage)
    output = world.run("snapshot", "restore", file, code=1).output
    assert "learned.hwym" in output
    assert "Traceback" not in output
    assert world.published() == before


def test_without_redis_a_command_says_how_to_reach_one(world: World) -> None:
    result = CliRunner().invoke(main, ["rebuild", "--state-dir", str(world.folder / "empty")])
    assert result.exit_code == 1
    assert "give --redis-url or --state-dir" in result.output


def test_erasing_a_person_removes_the_answers_that_were_stored_for_them(world: World) -> None:
    secret = b"s" * 32
    world.at(lambda client: Store(client, world.namespace).secrets(secret, issued=False))

    async def store(client: "aioredis.Redis") -> None:
        answers = AnswerStore(client, world.namespace, clock=time.time)
        for name in ("ann", "bob"):
            said = StoredAnswer("Paris.", "a", time.time(), user=pseudonym(secret, name))
            await answers.put(AnswerRow(name, "", b""), said)

    world.at(store)
    world.put(world.decision("his"))
    world.learned()
    assert world.json("erase", "--user", "ann")["stored_answers_removed"] == 1
    left = world.at(lambda client: client.keys(Keys(world.namespace)("answer", "*")))
    assert left == [Keys(world.namespace)("answer", "bob").encode()]
