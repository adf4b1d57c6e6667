"""Connections of slow and odd clients, over real sockets."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

TIMES = {"head_s": 0.3, "body_s": 0.4, "idle_s": 0.5}
CHAT = "/v1/chat/completions"
SLACK_S = 5.0  # a busy machine's


@pytest.fixture
async def router(valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Well."))
        async with running_router(
            [arm("a", upstream.url, window=10**6)], valkey_url, namespace, config={"limits": TIMES}
        ) as started:
            yield started


@asynccontextmanager
async def connection(router: Router) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = urlsplit(router.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


def request(body: bytes = b"", *, path: str = CHAT, headers: str = "", length: int | None = None) -> bytes:
    sent = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {sent}\r\n{headers}\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    return int(head.split()[1]), await reader.readexactly(int(lines[b"content-length"]))


async def trickle(writer: asyncio.StreamWriter, byte: bytes) -> None:
    """Send a byte again and again until the other side hangs up."""
    try:
        while True:
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0.05)
    except ConnectionError:
        pass


@pytest.mark.parametrize(
    ("begin", "byte"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\n", b""),
        (b"GET /healthz HTTP/1.1\r\nx: ", b"a"),
        (b"GET /", b"a"),
        (b"", b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b""),
        (request(b"{", length=1000), b""),
        (request(b"{", length=1000), b" "),
        (request(b"{", length=10_000, path="/v1/feedback"), b" "),
        (request(b"{", length=10_000, path="/nowhere"), b" "),
    ],
)
async def test_a_connection_that_trickles_or_waits_is_closed(router: Router, begin: bytes, byte: bytes) -> None:
    began = time.monotonic()
    async with connection(router) as (reader, writer):
        writer.write(begin)
        trickling = asyncio.create_task(trickle(writer, byte)) if byte else None
        async with asyncio.timeout(SLACK_S):
            try:
                while await reader.read(65536):
                    pass
            except ConnectionError:
                pass
        if trickling is not None:
            trickling.cancel()
    assert time.monotonic() - began >= 0.25


async def test_a_body_that_does_not_come_is_answered_408(router: Router) -> None:
    async with connection(router) as (reader, writer):
        writer.write(request(b"{", length=1000))
        status, body = await answer(reader)
        assert (status, json.loads(body)["error"]["code"]) == (408, "request_timeout")
        assert await reader.read() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 300_000,
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 50_000,
        b"GET / HTTP/1.1\r\nx: " + b"a" * 300_000,
    ],
)
async def test_a_head_without_end_is_refused(router: Router, head: bytes) -> None:
    async with connection(router) as (reader, writer), asyncio.timeout(SLACK_S):
        writer.write(head)
        with contextlib.suppress(ConnectionError):  # it was closed with bytes of ours unread
            assert (await reader.read(1000)).startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))


async def test_a_long_body_may_take_its_time_as_long_as_it_comes(router: Router) -> None:
    body = json.dumps(ask("word " * 8000)).encode()  # 40 kB: two and a half seconds more
    async with connection(router) as (reader, writer), asyncio.timeout(10):
        writer.write(request(length=len(body)))
        for start in range(0, len(body), len(body) // 5):
            await asyncio.sleep(0.2)
            writer.write(body[start : start + len(body) // 5])
        status, _ = await answer(reader)
        assert status == 200


@pytest.mark.parametrize(
    "upgrade",
    [
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        "connection: upgrade\r\nupgrade: websocket\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n",
    ],
)
async def test_an_upgrade_is_ignored_and_the_body_is_read(router: Router, upgrade: str) -> None:
    sent = request(json.dumps(ask()).encode(), headers=upgrade)
    async with connection(router) as (reader, writer), asyncio.timeout(SLACK_S):
        writer.write(sent + sent)  # the second one right behind the first
        for _ in range(2):
            status, body = await answer(reader)
            assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "Well.")
        for start in range(0, len(sent), 7):  # and in pieces
            writer.write(sent[start : start + 7])
            await writer.drain()
            await asyncio.sleep(0)
        assert (await answer(reader))[0] == 200


async def test_connect_is_refused(router: Router) -> None:
    async with connection(router) as (reader, writer), asyncio.timeout(SLACK_S):
        writer.write(b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")


async def test_requests_behind_each_other_are_answered_in_their_order_and_the_last_may_end_the_connection(
    router: Router,
) -> None:
    body = json.dumps(ask()).encode()
    async with connection(router) as (reader, writer), asyncio.timeout(SLACK_S):
        writer.write(request(body) + request(body) + request(b"{}", headers="connection: close\r\n"))
        assert [(await answer(reader))[0] for _ in range(3)] == [200, 200, 400]
        assert await reader.read() == b""


async def test_a_client_that_hangs_up_is_noticed_though_another_request_of_its_waits(
    valkey_url: str, namespace: str
) -> None:
    sent = request(json.dumps(ask()).encode())
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("One two.", hold=asyncio.Event()))
        async with running_router([arm("a", upstream.url)], valkey_url, namespace) as router:
            async with connection(router) as (_, writer):
                writer.write(sent + sent)
                await upstream.asked()
            await upstream.left()


async def test_leave_to_send_a_body_stands_before_the_answer_though_the_body_has_come_meanwhile(
    valkey_url: str, namespace: str
) -> None:
    before = asyncio.Event()
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Well.", before=before))
        async with (
            running_router([arm("a", upstream.url)], valkey_url, namespace) as router,
            connection(router) as (reader, writer),
            asyncio.timeout(SLACK_S),
        ):
            first = request(json.dumps(ask()).encode())
            writer.write(first + request(headers="expect: 100-continue\r\n", length=2))
            await upstream.asked()
            writer.write(b"{}")
            async with router.http.get("/healthz"):  # by now it is there
                before.set()
            assert (await answer(reader))[0] == 200
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            assert (await answer(reader))[0] == 400
