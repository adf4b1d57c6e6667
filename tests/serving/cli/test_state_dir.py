"""`--state-dir` as a user types it: relative to where they stand, and longer than a socket's path may be."""

import asyncio
import os
import sys
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen

import aiohttp
import pytest
from click.testing import CliRunner

from highwayman.env.errors import ConfigError
from highwayman.serving.cli.main import main
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.state.local_state import state_folder
from tests.redis_servers import free_port

POOL = "arms:\n  a: {endpoint: 'http://127.0.0.1:9', model: m, price: unknown, context_window_tokens: 4096}\n"
WITHIN_S = 50.0


def started(folder: Path, *words: str, out: Path | None = None) -> "Popen[bytes]":
    """A `highwayman` whose working directory is the folder, with no Redis to use."""
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    command = [sys.executable, "-m", "highwayman.serving.cli.main", *words]
    return Popen(command, cwd=folder, env=environment, stdout=out.open("wb") if out else DEVNULL, stderr=STDOUT)


async def ready(process: "Popen[bytes]", port: int) -> None:
    """Return once the router answers, with Redis."""
    async with asyncio.timeout(WITHIN_S), aiohttp.ClientSession() as http:
        while True:
            assert process.poll() is None, "it ended"
            try:
                async with http.get(f"http://127.0.0.1:{port}/readyz") as response:
                    if response.status == 200 and (await response.json())["redis"]:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def ended(process: "Popen[bytes]") -> int:
    process.terminate()
    async with asyncio.timeout(20):
        return await asyncio.to_thread(process.wait, 20)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", [("serve",), ("serve", "--workers=2"), ("up",)])
async def test_a_relative_folder_is_meant_from_where_the_user_stands(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "pool.yaml").write_text(POOL)
    port = free_port()
    process = started(tmp_path, *words, f"--port={port}", "--pool=pool.yaml", "--state-dir=own/state")
    try:
        await ready(process, port)
        if words == ("serve",):
            learner = started(tmp_path, "learn", "--state-dir=own/state", out=tmp_path / "learner.log")
            async with asyncio.timeout(WITHIN_S):
                while "standing by to learn" not in (tmp_path / "learner.log").read_text():
                    assert learner.poll() is None, (tmp_path / "learner.log").read_text()
                    await asyncio.sleep(0.05)
            assert await ended(learner) == 0
    finally:
        assert await ended(process) == 0
    assert (tmp_path / "own" / "state" / "valkey" / "appendonlydir").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["own"]


def test_a_folder_and_a_temporary_folder_too_long_for_a_socket_are_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 110)
    long.mkdir()
    (tmp_path / "pool.yaml").write_text(POOL)
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(ConfigError, match="too long for a socket; set TMPDIR to a shorter path"):
        EmbeddedValkey(long)
    command = ["serve", f"--pool={tmp_path}/pool.yaml", f"--state-dir={long}"]
    result = CliRunner().invoke(main, command, env={"REDIS_URL": ""})
    assert result.exit_code == 1
    assert "too long for a socket" in result.output
    assert "Traceback" not in result.output


def test_a_relative_home_of_state_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "elsewhere")  # "all paths must be absolute", says the specification
    assert state_folder() == Path.home() / ".local" / "state" / "highwayman"
