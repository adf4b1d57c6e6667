"""A response's head and the first bytes of its body, written together: each write is a packet and a wake-up."""

import asyncio
from collections.abc import Callable


class JoinedWrites:
    """What a response is written to: its head waits for what comes in the same turn of the loop, and no longer."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Take where bytes go in the end, and the loop."""
        self._transport = transport
        self._loop = loop
        self._held = b""
        self.write: Callable[[bytes], None] = self._hold  # writes bytes, behind those that wait; the first ones wait

    def close(self) -> None:
        """Close the connection behind what was written."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def _hold(self, data: bytes) -> None:
        self._held, self.write = data, self._join
        self._loop.call_soon(self._flush)

    def _join(self, data: bytes) -> None:
        held, self._held, self.write = self._held, b"", self._transport.write
        self._transport.write(held + data)

    def _flush(self) -> None:
        held, self._held, self.write = self._held, b"", self._transport.write
        if held and not self._transport.is_closing():
            self._transport.write(held)
