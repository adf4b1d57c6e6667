"""Takes the connections that come for a worker that is down to one that is up, byte for byte."""

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from highwayman.env.tasks import BackgroundTasks, cancel_and_wait

_CHUNK_BYTES = 65536
_PAUSE_S = 1.0  # after a connection that could not be taken, for want of descriptors

log = logging.getLogger(__name__)

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class WorkerSlot:
    """One worker's place: the listening sockets it serves, and a Unix socket of its own."""

    listeners: list[socket.socket]
    socket_path: Path
    up: bool = False


class ConnectionForwarder:
    """Accepts the connections of workers that are down, as long as another is up."""

    def __init__(self, slots: Sequence[WorkerSlot]) -> None:
        """Take the slots of all workers."""
        self._slots = tuple(slots)
        self._listening = False
        self._turns = itertools.count()
        self._carried = BackgroundTasks()

    def open(self) -> None:
        """Begin."""
        self._listening = True
        self._arrange()

    def close(self) -> None:
        """Listen no more; what is carried goes on."""
        self._listening = False
        self._arrange()

    def on_state_change(self, slot: WorkerSlot, *, up: bool) -> None:
        """Take note that the worker at `slot` has come up or gone down."""
        slot.up = up
        self._rearrange()

    def _rearrange(self) -> None:
        if self._listening:
            self._arrange()

    def _arrange(self) -> None:
        loop = asyncio.get_running_loop()
        any_up = self._listening and any(slot.up for slot in self._slots)
        for slot in self._slots:
            for listener in slot.listeners:
                if any_up and not slot.up:
                    loop.add_reader(listener, self._take, listener)
                else:
                    loop.remove_reader(listener)

    async def drain(self, *, patience_s: float = 1.0) -> None:
        """Return when nothing is carried any more (a connection ends with either of its ends), or patience does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._carried.drain()

    def _take(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # its worker is up again and was faster, or the client has gone
        except OSError as error:
            log.error("standing in for a worker: %s", error.strerror)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(_PAUSE_S, self._rearrange)
        else:
            self._carried.spawn(self._carry(connection))

    async def _carry(self, connection: socket.socket) -> None:
        worker = await self._connect_to_next()
        if worker is None:
            connection.close()
            return
        await _joined(await asyncio.open_connection(sock=connection), worker)

    async def _connect_to_next(self) -> _Streams | None:
        """Return a connection to the next worker that takes one, None where there is none."""
        up = [slot.socket_path for slot in self._slots if slot.up]
        turn = next(self._turns)
        for offset in range(len(up)):
            with contextlib.suppress(OSError):
                return await asyncio.open_unix_connection(up[(turn + offset) % len(up)])
        return None


async def _joined(client: _Streams, worker: _Streams) -> None:
    """Return when either of them has no more to send, and what it sent before is passed on."""
    directions = [
        asyncio.create_task(_pass_on(client[0], worker[1])),
        asyncio.create_task(_pass_on(worker[0], client[1])),
    ]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            await cancel_and_wait(direction)
        for _, writer in (client, worker):
            writer.close()
    for _, writer in (client, worker):
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
