"""A model server's answer as it is read: who is told that it is over, and what its breaking off comes to."""

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from highwayman.env.errors import UpstreamError
from highwayman.env.types import Arm
from highwayman.env.upstream.calls.response import UpstreamResponse

ARM = Arm("small", ("http://s:1",), "m", None, None, 4096)


class Connection:
    """Stands in for what is still to come: these chunks, then an error, or silence, or the end."""

    def __init__(self, *chunks: bytes, then: BaseException | None = None, silent: bool = False) -> None:
        self._chunks, self._then, self._silent = list(chunks), then, silent
        self._closing = asyncio.Event()
        self.content, self.tap = SimpleNamespace(readany=self._readany), None

    @property
    def closed(self) -> bool:
        return self._closing.is_set()

    async def _readany(self) -> bytes:
        if self._chunks:
            return self._chunks.pop(0)
        if self._silent:
            await self._closing.wait()
            raise aiohttp.ClientConnectionError("Connection closed")
        if self._then is not None:
            raise self._then
        return b""

    def close(self) -> None:
        self._closing.set()


def answer(connection: Connection | None, **more: Any) -> UpstreamResponse:
    return UpstreamResponse(
        ARM, 200, "text/event-stream", 0.0, 0.0, b"first ", _response=connection, _silence_s=0.05, **more  # type: ignore[arg-type]
    )  # fmt: skip


async def test_a_body_is_its_beginning_and_what_comes_and_its_end_is_told() -> None:
    over: list[bool] = []
    streamed = answer(Connection(b"second ", b"third"))
    streamed.when_over(lambda: over.append(True))
    assert (streamed.is_whole, over) == (False, [])
    assert await streamed.body() == b"first second third"
    assert over


async def test_a_whole_answer_is_over_at_once_and_has_nothing_to_close() -> None:
    over: list[bool] = []
    whole = answer(None)
    whole.when_over(lambda: over.append(True))
    assert (whole.is_whole, over) == (True, [True])
    assert await whole.body() == b"first "
    whole.close()


@pytest.mark.parametrize(
    ("connection", "why"),
    [
        (Connection(b"second", silent=True), "it did not answer in time"),
        (Connection(b"second", then=aiohttp.ClientPayloadError()), "the connection broke (ClientPayloadError)"),
        (Connection(b"second", then=ConnectionResetError()), "the connection broke (ConnectionResetError)"),
    ],
    ids=["silent", "cut", "reset"],
)
async def test_one_that_breaks_off_is_closed_told_over_and_an_error_of_its_arm(
    connection: Connection, why: str
) -> None:
    over, got = list[bool](), list[bytes]()
    streamed = answer(connection, attempts=3)
    streamed.when_over(lambda: over.append(True))
    with pytest.raises(UpstreamError, match="arm 'small' broke off its answer: ") as caught:
        got.extend([chunk async for chunk in streamed.chunks()])
    assert (str(caught.value).endswith(why), caught.value.attempts) == (True, 3)
    assert (connection.closed, bool(over)) == (True, True)


async def test_closing_tells_the_server_and_whoever_waits_for_the_end() -> None:
    over: list[bool] = []
    connection = Connection(silent=True)
    streamed = answer(connection)
    streamed.when_over(lambda: over.append(True))
    streamed.close()
    assert (connection.closed, over) == (True, [True])


def test_blame_and_credit_go_to_its_server() -> None:
    told: list[str] = []
    made = answer(None, _on_broken=lambda: told.append("broken"), _on_whole=lambda: told.append("whole"))
    made.blame()
    made.credit()
    assert told == ["broken", "whole"]
    answer(None).blame()
    answer(None).credit()
