"""A response's head and the first bytes of its body, written together: each write is a packet and a wake-up."""

import asyncio


class JoinedWrites:
    """What a response is written to: its head waits for what comes in the same turn of the loop, and no longer."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Take where bytes go in the end, and the loop."""
        self._transport = transport
        self._loop = loop
        self.held = b""  # what waits

    def write(self, data: bytes) -> None:
        """Write bytes, behind those that wait; the first ones wait."""
        if self.held:
            self._flush(data)
        else:
            self.held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Close the connection behind what was written."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def _flush(self, behind: bytes = b"") -> None:
        held, self.held = self.held + behind, b""
        self.write = self._transport.write  # type: ignore[method-assign]  # from now on nothing waits
        if held and not self._transport.is_closing():
            self._transport.write(held)
