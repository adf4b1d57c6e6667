import asyncio
import itertools

import pytest

from benchmarks.proxies.load import Burst, Load, Setting, Target
from benchmarks.proxies.mock_upstream import LAST_WORD

_REFUSAL = b"HTTP/1.1 500 Oh\r\ncontent-length: 6\r\n\r\n" + LAST_WORD.encode()
_CUT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\ndata: word\n\n"
_WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n" + LAST_WORD.encode() + b" [DONE]\n"


async def answered(answer: bytes, setting: Setting) -> Burst:
    """Return what comes of a server that answers so, or hangs up if that is empty."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(2**16):
            writer.write(answer)
            if not answer:
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        load = Load(Target(port, "/", "m"), setting, itertools.repeat("Hello"))
        await load.open()
        await load.ask(0.0)
        load.close()
    return load.burst


@pytest.mark.parametrize("answer", [_REFUSAL, _CUT_STREAM, b"", b"no HTTP"])
async def test_an_answer_that_is_not_whole_is_an_error_each_time_it_comes(answer: bytes) -> None:
    burst = await answered(answer, Setting(stream=True, clients=3))
    assert (len(burst.latencies_s), burst.errors) == (0, 6)


async def test_an_answer_that_is_whole_is_timed() -> None:
    burst = await answered(_WHOLE, Setting(stream=True, clients=3))
    assert (len(burst.latencies_s), burst.errors) == (3, 0)
