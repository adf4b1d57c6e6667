"""Chunks taken past aiohttp: whatever a server writes, in whatever pieces, one gets what aiohttp would give."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from hypothesis import given, strategies

from highwayman.env.types import Arm
from highwayman.env.upstream.calls.chunk_tap import ChunkTap, whole_chunks
from highwayman.env.upstream.calls.connections import Connections
from highwayman.env.upstream.calls.exchange import ServerResponse

ARM = Arm("small", ("http://s:1",), "m", None, None, 4096)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
# Some look like chunks.
BODIES = (b"data: {}\n\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"\r\n", b"a", b"1f\r\n", b"x" * 700)
ODD = (b"g\r\nx\r\n", b"-1\r\nx\r\n", b"1;a=b\r\nx\r\n", b"1 \r\nx\r\n", b"1\nx\n", b"1\r\nxy\r\n", b"1\r\nx\r")


def framed(body: bytes, style: str) -> bytes:
    size = {"plain": b"%x", "upper": b"%X", "zeros": b"000%x", "extended": b"%x;a=b"}[style] % len(body)
    return size + b"\r\n" + body + b"\r\n"


@given(
    strategies.lists(strategies.sampled_from(BODIES)),
    strategies.integers(0),
    strategies.sampled_from(["plain", "upper"]),
)
def test_whole_chunks_are_told_from_everything_else(bodies: Sequence[bytes], cut: int, style: str) -> None:
    data, ends, place = b"".join(framed(body, style) for body in bodies), {0}, 0
    for body in bodies:
        place += len(framed(body, style))
        ends.add(place)
    cut %= len(data) + 1
    assert whole_chunks(data) == b"".join(bodies)
    assert (whole_chunks(data[:cut]) is not None) == (cut in ends)
    assert whole_chunks(data + b"0\r\n\r\n") is None


@pytest.mark.parametrize("data", [*ODD, b"\r\n"])
def test_what_is_no_plain_chunk_is_left_to_others(data: bytes) -> None:
    assert whole_chunks(data) is None


class Server:
    """Answers each request with the next of its answers, each a list of pieces that are written one after the other."""

    def __init__(self, answers: Iterator[Sequence[bytes]]) -> None:
        self.connections = 0
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(2)
                for piece in next(self._answers):
                    writer.write(piece)
                    for _ in range(3):  # the client's turn
                        await asyncio.sleep(0)
                    if not piece:
                        writer.close()
                        return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*answers: Sequence[bytes]) -> AsyncIterator[tuple[Server, Connections, str]]:
    server, connections = Server(iter(answers)), Connections(2.0)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    await connections.start()
    try:
        yield server, connections, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    finally:
        await connections.close()
        listener.close()


async def tapped(connections: Connections, url: str) -> tuple[ServerResponse, ChunkTap]:
    response = await connections.post(ARM, url, b"{}", stream=True)
    assert response.tap is not None
    return response, response.tap


async def read_into(got: list[bytes], tap: ChunkTap) -> None:
    while chunk := await tap.next(lambda chunk: False):
        got.append(chunk)


def pieces(rng: random.Random, style: str) -> tuple[bytes, list[bytes]]:
    """Return a body, and its answer cut anywhere: mostly where chunks end, as servers write them."""
    bodies = [rng.choice(BODIES) for _ in range(rng.randint(1, 40))]
    trailer = b"x-count: 3\r\n" if rng.random() < 0.3 else b""
    chunks = [framed(body, rng.choice(["plain", style])) for body in bodies]
    data, cuts, place = HEAD + b"".join(chunks) + b"0\r\n" + trailer + b"\r\n", set[int](), len(HEAD)
    for chunk in chunks:
        place += len(chunk)
        if rng.random() < 0.8:
            cuts.add(place)
    cuts |= {rng.randrange(len(data)) for _ in range(rng.choice([0, 0, 1, 5]))}
    ends = sorted({*cuts, len(data)} - {0})
    return b"".join(bodies), [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


async def test_however_an_answer_is_cut_all_of_it_comes_in_order_and_its_connection_is_used_again() -> None:
    rng = random.Random(7)
    made = [pieces(rng, rng.choice(["plain", "upper", "zeros", "extended"])) for _ in range(60)]
    taken = 0
    async with serving(*(cut for _, cut in made)) as (server, connections, url):
        for body, _ in made:
            got = bytearray()

            def take(chunk: bytes, got: bytearray = got) -> bool:
                nonlocal taken
                is_taken = rng.random() < 0.8  # a client that has no room now and then
                got.extend(chunk if is_taken else b"")
                taken += is_taken
                return is_taken

            _, tap = await tapped(connections, url)
            while chunk := await tap.next(take):
                got += chunk
            assert bytes(got) == body
        assert (server.connections, taken > 100) == (1, True)


async def test_an_answer_that_breaks_off_within_a_chunk_or_between_two_raises_what_aiohttp_raises() -> None:
    one = framed(b"one", "plain")
    async with serving([HEAD + one, one, b""], [HEAD + one, one + b"5\r\nx", b""]) as (_, connections, url):
        for _ in range(2):
            got = list[bytes]()
            _, tap = await tapped(connections, url)
            with pytest.raises(aiohttp.ClientPayloadError):
                await read_into(got, tap)
            assert b"".join(got).startswith(b"oneone")


async def test_closing_an_answer_ends_whoever_waits_for_it() -> None:
    async with serving([HEAD + framed(b"one", "plain")]) as (_, connections, url):
        response, tap = await tapped(connections, url)
        assert await tap.next(lambda chunk: False) == b"one"
        waiting = asyncio.ensure_future(tap.next(lambda chunk: False))
        await asyncio.sleep(0)
        response.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await waiting


async def test_what_takes_a_chunk_and_fails_is_heard_by_whoever_waits() -> None:
    def fails(_: bytes) -> bool:
        raise LookupError

    async with serving([HEAD + framed(b"one", "plain"), framed(b"two", "plain")]) as (_, connections, url):
        response, tap = await tapped(connections, url)
        assert await tap.next(lambda chunk: False) == b"one"
        with pytest.raises(LookupError):
            await tap.next(fails)
        response.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
    ids=["refusal", "length", "all at once"],
)
async def test_an_answer_that_is_no_stream_or_has_ended_already_is_read_as_any_other(answer: bytes) -> None:
    async with serving([answer], [answer]) as (server, connections, url):
        for _ in range(2):
            response = await connections.post(ARM, url, b"{}", stream=True)
            assert await response.content.read() == b"{}"
        assert server.connections == 1
