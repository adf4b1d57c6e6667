"""`highwayman serve` told to end while answers are under way: real processes, sockets and signals."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import yaml

from highwayman.env.types import Outcome
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys
from tests.redis_servers import free_port
from tests.serving.running_router import ask
from tests.upstream_server import ANY, Say, ScriptedUpstream

CHAT = "/v1/chat/completions"
WITHIN_S = 50.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running `highwayman serve`, a client that keeps its connections, and what its log is."""

    process: "Popen[bytes]"
    http: aiohttp.ClientSession
    upstream: ScriptedUpstream
    redis_url: str
    namespace: str

    @asynccontextmanager
    async def streaming(self) -> AsyncIterator[tuple[aiohttp.ClientResponse, asyncio.Event]]:
        """Yield an answer of which the first word is out, and what lets it go on."""
        go_on, before = asyncio.Event(), len(self.upstream.requests)
        self.upstream.script(ANY, Say("One two three.", hold=go_on))
        async with self.http.post(CHAT, json=ask(stream=True)) as response:
            assert response.status == 200
            await self.upstream.asked(before + 1)
            read = b""
            while b"One" not in read:
                read += await response.content.readany()
            yield response, go_on

    def signal(self, number: int = signal.SIGTERM) -> None:
        os.kill(self.process.pid, number)

    async def draining(self) -> dict[str, Any]:
        """What /readyz says once it says no.

        A worker that has nothing to finish ends at once, and with it the connections that waited for it: the next one
        reaches another worker.
        """
        url = self.http._base_url.joinpath("readyz")  # type: ignore[union-attr]
        async with asyncio.timeout(2):
            while True:
                with suppress(aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError):
                    async with aiohttp.ClientSession() as fresh, fresh.get(url) as said:
                        if said.status == 503:
                            return dict(await said.json())
                await asyncio.sleep(0.01)

    async def ended(self, within_s: float) -> int:
        async with asyncio.timeout(within_s):
            return await asyncio.to_thread(self.process.wait, within_s + 1)

    async def outcomes(self) -> list[Outcome]:
        client = connect(self.redis_url)
        try:
            events = [decode(fields[b"e"]) for _, fields in await client.xrange(Keys(self.namespace)("log"))]
        finally:
            await client.aclose()
        return [event for event in events if isinstance(event, Outcome)]


@asynccontextmanager
async def serving(
    folder: Path, redis_url: str, *options: str, drain_s: float | None = None, command: str = "serve"
) -> AsyncIterator[Served]:
    async with ScriptedUpstream() as upstream:
        namespace, port = f"test-{uuid4().hex}", free_port()
        limits = {"redis_s": 5.0} | ({} if drain_s is None else {"drain_s": drain_s})  # a slow Redis is no lost one
        (folder / "highwayman.yaml").write_text(yaml.safe_dump({"namespace": namespace, "limits": limits}))
        arm = {"endpoint": upstream.url, "model": "m", "price": "unknown", "context_window_tokens": 4096}
        (folder / "pool.yaml").write_text(yaml.safe_dump({"arms": {"a": arm, "b": arm}}))
        words = [f"--config={folder}/highwayman.yaml", f"--pool={folder}/pool.yaml", f"--state-dir={folder}/state"]
        argv = [sys.executable, "-m", "highwayman.serving.cli.main", command, f"--port={port}", *words, *options]
        process = start(argv, redis_url)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
                await ready(http, process)
                yield Served(process, http, upstream, redis_url, namespace)
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 10)
            finally:
                process.kill()


def start(argv: list[str], redis_url: str) -> "Popen[bytes]":
    return Popen(argv, stdout=DEVNULL, stderr=DEVNULL, env={**os.environ, "REDIS_URL": redis_url})


async def ready(http: aiohttp.ClientSession, process: "Popen[bytes]") -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            assert process.poll() is None, "highwayman serve ended"
            try:
                async with http.get("/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


def last_event(raw: bytes) -> Any:
    *_, last = (line for line in raw.splitlines() if line.startswith(b"data:"))
    return json.loads(last.removeprefix(b"data:"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_router_told_to_end_says_so_takes_no_more_and_lets_a_stream_finish(
    tmp_path: Path, valkey_url: str, number: int
) -> None:
    async with serving(tmp_path, valkey_url) as served, aiohttp.ClientSession(served.http._base_url) as kept:
        async with kept.get("/v1/models") as response:  # a connection that is open by then
            assert response.status == 200
        async with served.streaming() as (answer, go_on):
            served.signal(number)
            said = await served.draining()
            assert (said["status"], said["ready"]) == ("draining", False)
            async with kept.get("/healthz") as response:
                assert (response.status, await response.json()) == (200, {"status": "ok"})
            async with kept.post(CHAT, json=ask()) as response:
                assert response.status == 503
                assert (response.headers["retry-after"], response.headers["connection"]) == ("1", "close")
                assert (await response.json())["error"]["code"] == "shutting_down"
            assert served.process.poll() is None
            go_on.set()
            rest = await answer.read()
        assert b"three." in rest
        assert rest.endswith(b"data: [DONE]\n\n")
        assert await served.ended(5) == 0
        assert [outcome.status for outcome in await served.outcomes()] == ["ok"]
        assert len(served.upstream.requests) == 1


async def test_what_has_not_ended_when_the_drain_is_over_is_told_so_and_logged_as_cut(
    tmp_path: Path, valkey_url: str
) -> None:
    async with serving(tmp_path, valkey_url, drain_s=0.5) as served:
        async with served.streaming() as (answer, _):
            whole = asyncio.ensure_future(served.http.post(CHAT, json=ask()))
            await served.upstream.asked(2)
            served.signal()
            rest = await answer.read()
            late = await whole
        error = last_event(rest)["error"]
        assert (error["type"], error["code"]) == ("server_error", "shutting_down")
        assert b"[DONE]" not in rest
        assert (late.status, late.headers["retry-after"]) == (503, "1")
        assert (await late.json())["error"]["code"] == "shutting_down"
        assert await served.ended(5) == 0
        outcomes = await served.outcomes()
        assert [outcome.status for outcome in outcomes] == ["cut", "cut"]
        assert max(outcome.tokens_out for outcome in outcomes) > 0, "what was written is metered"


async def test_a_second_signal_ends_the_drain_at_once(tmp_path: Path, valkey_url: str) -> None:
    async with serving(tmp_path, valkey_url, drain_s=600) as served:
        async with served.streaming() as (answer, _):
            served.signal()
            await served.draining()
            served.signal(signal.SIGINT)
            assert last_event(await answer.read())["error"]["code"] == "shutting_down"
        assert await served.ended(5) == 0
        assert [outcome.status for outcome in await served.outcomes()] == ["cut"]


async def test_a_drain_of_no_time_cuts_at_once_and_an_idle_router_does_not_wait(
    tmp_path: Path, valkey_url: str
) -> None:
    async with serving(tmp_path, valkey_url, drain_s=0) as served:
        async with served.streaming() as (answer, _):
            served.signal()
            assert last_event(await answer.read())["error"]["code"] == "shutting_down"
        assert await served.ended(5) == 0
    (tmp_path / "idle").mkdir()
    async with serving(tmp_path / "idle", valkey_url) as served:
        served.signal()
        assert await served.ended(5) == 0


async def test_a_client_that_does_not_read_does_not_keep_the_router_up(tmp_path: Path, valkey_url: str) -> None:
    async with serving(tmp_path, valkey_url, drain_s=0.2) as served:
        served.upstream.script(ANY, Say("word " * 100_000))
        body = json.dumps(ask(stream=True)).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        port = served.http._base_url.port  # type: ignore[union-attr]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        await reader.readline()
        served.signal()
        assert await served.ended(20) == 0
        writer.close()
        assert [outcome.status for outcome in await served.outcomes()] == ["cut"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", [("up",), ("up", "--workers=2")])
async def test_a_supervisor_passes_the_drain_on_waits_for_it_and_passes_the_second_signal_on(
    tmp_path: Path, valkey_url: str, words: tuple[str, ...]
) -> None:
    command, *options = words
    async with serving(tmp_path, valkey_url, *options, drain_s=600, command=command) as served:
        async with served.streaming() as (answer, go_on):
            served.signal()
            assert (await served.draining())["status"] == "draining"
            await asyncio.sleep(0.3)  # longer than a worker needs that does not wait
            assert served.process.poll() is None
            go_on.set()
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        assert await served.ended(10) == 0
    (tmp_path / "again").mkdir()
    async with serving(tmp_path / "again", valkey_url, *options, drain_s=600, command=command) as served:
        async with served.streaming() as (answer, _):
            served.signal()
            await served.draining()
            served.signal()
            assert last_event(await answer.read())["error"]["code"] == "shutting_down"
        assert await served.ended(10) == 0
        assert [outcome.status for outcome in await served.outcomes()] == ["cut"]
