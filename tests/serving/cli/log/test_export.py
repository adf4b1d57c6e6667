import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import redis.asyncio as aioredis
from click.testing import CliRunner, Result

from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.log.events import encode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys
from highwayman.serving.cli.errors import PlainErrorGroup
from highwayman.serving.cli.log.export import export_command
from highwayman.serving.config.config import load_config
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from tests.feedback.worlds import decision, outcome, thumb

LONG_AGO_MS = 1_600_000_000_000


@pytest.fixture(autouse=True)
def no_redis_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture
def config(tmp_path: Path, namespace: str) -> Path:
    path = tmp_path / "highwayman.yaml"
    path.write_text(f"namespace: {namespace}\n")
    return path


def run(*words: object) -> Result:
    main = PlainErrorGroup("main")
    main.add_command(export_command)
    return CliRunner().invoke(main, ["export", *map(str, words)])


def at(url: str, work: Callable[["aioredis.Redis"], Awaitable[Any]]) -> Any:
    """What `work` returns, given a client."""

    async def whole() -> Any:
        client = connect(url)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(whole())


def fill(url: str, namespace: str, *, since: int = LONG_AGO_MS) -> None:
    """Put three events of long ago on the log."""

    async def work(client: "aioredis.Redis") -> None:
        for number, event in enumerate((decision("d"), outcome("d"), thumb("d", 1.0))):
            await client.xadd(Keys(namespace)("log"), {"e": encode(event)}, id=f"{since}-{number}")

    at(url, work)


def test_an_export_is_told_in_a_line_and_read_by_parquets_own_tools(
    valkey_url: str, namespace: str, config: Path, tmp_path: Path
) -> None:
    fill(valkey_url, namespace)
    folder = tmp_path / "deep" / "archive"
    result = run("--to", folder, "--config", config, "--redis-url", valkey_url)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"exported 3 events in 1 part to {folder}, which holds the log up to {LONG_AGO_MS}-2\n"
    assert pq.read_table(folder)["kind"].to_pylist() == ["decision", "outcome", "feedback"]
    assert "exported 0 events in 0 parts" in run("--to", folder, "--config", config, "--redis-url", valkey_url).output


def test_machines_get_json(valkey_url: str, namespace: str, config: Path, tmp_path: Path) -> None:
    fill(valkey_url, namespace)
    result = run("--to", tmp_path / "a", "--config", config, "--redis-url", valkey_url, "--json")
    last = f"{LONG_AGO_MS}-2"
    assert json.loads(result.stdout) == {"events": 3, "parts": 1, "last": last, "gaps": [], "trimmed": None}


def test_trimming_takes_off_the_log_what_was_exported_learned_and_need_not_be_kept(
    valkey_url: str, namespace: str, config: Path, tmp_path: Path
) -> None:
    fill(valkey_url, namespace)
    keys = Keys(namespace)
    loaded = load_config(config)
    encoder = warm_encoder(loaded)
    lineage = LearnerFactory(loaded, (), encoder).lineage
    encoder.close()
    words = "--to", tmp_path / "a", "--config", config, "--redis-url", valkey_url, "--trim"
    assert run(*words).output.endswith("; 0 events left the log\n")  # nothing of it was learned yet

    async def learned(client: "aioredis.Redis") -> None:
        await client.sadd(keys("lineages"), lineage)  # type: ignore[misc]
        await client.hset(keys("policy", lineage), "position", f"{LONG_AGO_MS}-2")  # type: ignore[misc]

    at(valkey_url, learned)
    result = run(*words)
    assert result.output.endswith("; 2 events left the log\n"), result.output
    assert at(valkey_url, lambda client: client.xlen(keys("log"))) == 1
    assert sum(len(page) for page in Archive(tmp_path / "a").read()) == 3


def test_trimming_a_log_that_is_kept_for_ever_is_refused_before_anything_is_done(
    valkey_url: str, config: Path, tmp_path: Path
) -> None:
    config.write_text(config.read_text() + "retention: {log_s: null}\n")
    result = run("--to", tmp_path / "a", "--config", config, "--redis-url", valkey_url, "--trim")
    assert (result.exit_code, (tmp_path / "a").exists()) == (1, False)
    assert "retention.log_s is null" in result.output


def test_what_had_left_the_log_is_told_beside(valkey_url: str, namespace: str, config: Path, tmp_path: Path) -> None:
    fill(valkey_url, namespace)
    at(valkey_url, lambda client: client.set(Keys(namespace)("trimmed"), f"{LONG_AGO_MS - 1}-0"))
    result = run("--to", tmp_path / "a", "--config", config, "--redis-url", valkey_url)
    assert result.exit_code == 0
    assert "MISSING: what came after 0-0 up to 1599999999999-0 had left the log" in result.stderr
    assert result.stdout.count("\n") == 1


def test_the_archive_of_another_namespace_is_refused_in_a_line(
    valkey_url: str, namespace: str, config: Path, tmp_path: Path
) -> None:
    fill(valkey_url, namespace)
    words = "--to", tmp_path / "a", "--redis-url", valkey_url
    assert run(*words, "--config", config).exit_code == 0
    result = run(*words, "--namespace", "default")
    assert result.exit_code == 1
    assert f"holds events of the namespace '{namespace}', not of 'default'" in result.output
    assert "Traceback" not in result.output


def test_the_embedded_valkeys_log_is_exported_while_it_runs_and_missed_when_not(tmp_path: Path) -> None:
    state = tmp_path / "state"
    words = "--to", tmp_path / "a", "--state-dir", state
    with asyncio.Runner() as runner:
        server = EmbeddedValkey(state / "valkey")
        runner.run(server.start())
        fill(server.url, "default")
        result = run(*words)
        runner.run(server.stop())
    assert "exported 3 events" in result.output
    missed = run(*words)
    assert missed.exit_code == 1
    assert "--redis-url" in missed.output
    assert "Traceback" not in missed.output
