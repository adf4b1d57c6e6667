"""The stand-in for workers that are down, between real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from highwayman.serving.processes.connection_forwarder import ConnectionForwarder, WorkerSlot


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data.upper())
    writer.close()


@pytest.fixture
async def posts(tmp_path: Path) -> AsyncIterator[list[WorkerSlot]]:
    """Two posts of a port each, with somebody behind the second one's door."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    for listener in listeners:
        listener.setblocking(False)
    found = [WorkerSlot([listener], tmp_path / str(number)) for number, listener in enumerate(listeners)]
    async with await asyncio.start_unix_server(echo, found[1].socket_path):
        yield found
    for listener in listeners:
        listener.close()


async def dial(post: WorkerSlot) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*post.listeners[0].getsockname())


async def test_a_connection_for_a_worker_that_is_down_is_carried_to_one_that_is_up(posts: list[WorkerSlot]) -> None:
    stand_in = ConnectionForwarder(posts)
    stand_in.open()
    reader, writer = await dial(posts[0])
    stand_in.on_state_change(posts[1], up=True)
    async with asyncio.timeout(10):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        stand_in.close()
        writer.write(b"still there")
        assert await reader.readexactly(11) == b"STILL THERE"
        writer.close()
        await stand_in.drain()


async def test_the_last_of_a_long_answer_arrives_though_the_worker_has_closed(posts: list[WorkerSlot]) -> None:
    answer = bytes(range(256)) * 20_000

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    stand_in = ConnectionForwarder(posts)
    stand_in.open()
    posts[1].socket_path = posts[1].socket_path.with_name("long")
    async with await asyncio.start_unix_server(say, posts[1].socket_path), asyncio.timeout(10):
        stand_in.on_state_change(posts[1], up=True)
        reader, writer = await dial(posts[0])
        assert await reader.read() == answer
        writer.close()
        await stand_in.drain()
    stand_in.close()


async def test_a_worker_that_is_up_takes_its_own_connections(posts: list[WorkerSlot]) -> None:
    stand_in = ConnectionForwarder(posts)
    stand_in.open()
    for post in posts:
        stand_in.on_state_change(post, up=True)
    _, writer = await dial(posts[0])
    async with asyncio.timeout(10):
        taken, _ = await asyncio.get_running_loop().sock_accept(posts[0].listeners[0])
    taken.close()
    writer.close()
    stand_in.close()


async def test_a_connection_is_closed_if_nobody_opens_a_door(posts: list[WorkerSlot]) -> None:
    stand_in = ConnectionForwarder(posts)
    stand_in.open()
    posts[0].socket_path = posts[0].socket_path.with_name("nobody")
    stand_in.on_state_change(posts[0], up=True)
    reader, writer = await dial(posts[1])
    async with asyncio.timeout(10):
        assert await reader.read() == b""
        await stand_in.drain()
    writer.close()
    stand_in.close()
