"""A response's head and the first of its body in one write; never later than the turn in which the head was written."""

import asyncio
import weakref
from typing import cast

from highwayman.serving.http.joined_writes import JoinedWrites


class Transport:
    """Notes what is written, and whether it is closed."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def joined() -> tuple[Transport, JoinedWrites]:
    transport = Transport()
    return transport, JoinedWrites(cast("asyncio.Transport", transport), asyncio.get_running_loop())


async def test_a_head_and_what_follows_in_the_same_turn_are_one_write_and_later_parts_are_their_own() -> None:
    transport, writes = joined()
    for data in (b"head ", b"first", b"second"):
        writes.write(data)
    await asyncio.sleep(0)
    assert transport.written == [b"head first", b"second"]


async def test_a_head_alone_is_written_in_its_turn() -> None:
    transport, writes = joined()
    writes.write(b"head")
    assert not transport.written
    await asyncio.sleep(0)
    writes.write(b"body")
    assert transport.written == [b"head", b"body"]


async def test_what_is_held_is_written_before_the_connection_is_closed_and_not_after() -> None:
    transport, writes = joined()
    writes.write(b"head")
    writes.close()
    assert (transport.written, writes.is_closing()) == ([b"head"], True)
    transport, writes = joined()
    writes.write(b"head")
    transport.close()
    await asyncio.sleep(0)
    assert not transport.written


async def test_one_is_let_go_with_its_response_and_waits_for_no_collection() -> None:
    for parts in ((), (b"head", b"body")):
        _, writes = joined()
        for data in parts:
            writes.write(data)
        await asyncio.sleep(0)
        gone = weakref.ref(writes)
        del writes
        assert gone() is None
