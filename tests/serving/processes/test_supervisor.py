"""`highwayman up` as a user runs it: real processes, real models, killed without warning."""

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import pytest

from tests.ports import free_port

WITHIN_S = 60.0


class Up:
    """A running `highwayman up`."""

    def __init__(self, state: Path, port: int, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "highwayman.serving.cli.main",
            "up",
            "--port",
            str(port),
            "--state-dir",
            str(state),
            *options,
        ]
        environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        self.process = Popen(command, stdout=DEVNULL, stderr=DEVNULL, env=environment)
        self.url = f"http://127.0.0.1:{port}"

    def call(self, path: str, body: dict[str, Any] | None = None) -> tuple[Any, dict[str, str]]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read()), {name.lower(): value for name, value in response.headers.items()}

    async def until(self, path: str, *, good: Any = lambda _: True) -> Any:
        """What `path` answers, once it does and is good."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    found, _ = await asyncio.to_thread(self.call, path)
                    if good(found):
                        return found
                except OSError:
                    assert self.process.poll() is None, "highwayman up ended"
                await asyncio.sleep(0.05)

    def children(self) -> dict[str, int]:
        """The process ids below the supervisor, by what they are."""
        found = {}
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in map(int, listed):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            name = "valkey" if "valkey-server" in line else "router" if " serve " in line else "pool"
            found[name] = pid
        return found


@contextmanager
def up(state: Path, port: int, *options: str) -> Iterator[Up]:
    running = Up(state, port, *options)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(timeout=30)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pids: list[int]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while any(map(alive, pids)):
            await asyncio.sleep(0.05)


def learned(policy: dict[str, Any]) -> int:
    return sum(arm["feedback"] for arm in policy["arms"].values())


def counted(policy: dict[str, Any]) -> dict[str, Any]:
    """Return what is counted of arms over the whole log: not what a process knows of servers by itself."""
    known_here = {"replicas", "unwell", "resting", "tools", "chance_to_answer"}
    return {
        name: {key: value for key, value in arm.items() if key not in known_here}
        for name, arm in policy["arms"].items()
    }


@pytest.mark.timeout(240)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
async def test_what_was_learned_outlives_the_router_valkey_and_the_supervisor(tmp_path: Path) -> None:
    port = free_port()
    with up(tmp_path, port) as running:
        await running.until("/readyz")
        answer, headers = running.call(
            "/v1/chat/completions", {"model": "auto", "messages": [{"role": "user", "content": "Capital of France?"}]}
        )
        assert answer["model"] == headers["x-highwayman-arm"]
        assert answer["usage"]["completion_tokens"] > 0
        running.call("/v1/feedback", {"decision_id": headers["x-highwayman-decision"], "value": True})
        before = await running.until("/v1/policy", good=lambda found: learned(found) == 1)
        assert before["policy"] == "LinTS", "what suits the local pool, as no --config is given"

        for name in ("router", "valkey"):
            children = running.children()
            os.kill(children[name], signal.SIGKILL)
            await gone([children[name]])
            after = await running.until("/v1/policy", good=lambda found: found["version"] >= before["version"])
            assert counted(after) == counted(before), name
            await running.until("/readyz")
        _, headers = running.call(
            "/v1/chat/completions", {"model": "auto", "messages": [{"role": "user", "content": "And of Spain?"}]}
        )
        running.call("/v1/feedback", {"decision_id": headers["x-highwayman-decision"], "value": True})
        before = await running.until("/v1/policy", good=lambda found: learned(found) == 2)
        children = running.children()
        assert set(children) == {"valkey", "pool", "router"}
        running.process.kill()
        await gone(list(children.values()))

    with up(tmp_path, port) as again:
        await again.until("/readyz")
        assert counted(await again.until("/v1/policy")) == counted(before)
        pids = list(again.children().values())
        again.process.terminate()
        assert again.process.wait(timeout=30) == 0
        await gone(pids)


async def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    pool, state = tmp_path / "pool.yaml", tmp_path / "state"
    pool.write_text(
        "arms: {a: {endpoint: 'http://127.0.0.1:9', model: m, price: unknown, context_window_tokens: 4096}}"
    )
    with up(state, free_port(), "--pool", str(pool)) as first:
        await first.until("/readyz")
        with up(state, free_port()) as second:
            async with asyncio.timeout(WITHIN_S):
                assert await asyncio.to_thread(second.process.wait) == 1
            assert first.process.poll() is None
            with pytest.raises(urllib.error.URLError):
                second.call("/healthz")


async def test_a_port_that_is_taken_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        with up(tmp_path, owner.getsockname()[1]) as running:
            async with asyncio.timeout(WITHIN_S):
                assert await asyncio.to_thread(running.process.wait) == 1
    assert not list(tmp_path.iterdir())
