"""An answer that nobody sees before it is settled whether anybody shall."""

from collections.abc import MutableMapping
from typing import Any, Final

from highwayman.serving.http.asgi import Send

_MOST_BYTES: Final = 16 << 20  # a larger answer is passed on, whatever it is worth: memory is for other requests, too


class HeldMessages:
    """Takes an answer's messages as a client's `send` does, and sends them when it is told to, or grow too large."""

    def __init__(self, send: Send) -> None:
        """Take what they are sent to in the end."""
        self._send = send
        self._messages: list[MutableMapping[str, Any]] = []
        self._bytes = 0
        self.is_released = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Take a message."""
        if self.is_released:
            await self._send(message)
            return
        self._messages.append(message)
        self._bytes += len(message.get("body", b""))
        if self._bytes > _MOST_BYTES:
            await self.release()

    async def release(self) -> None:
        """Send what is held, and from now on what comes."""
        self.is_released = True
        held, self._messages = self._messages, []
        for message in held:
            await self._send(message)
