"""From a body's bytes to what is made of them: large ones beside the event loop, which answers others meanwhile."""

from collections.abc import Callable
from typing import TypeVar

from highwayman.env.json_pieces import PIECE_BYTES
from highwayman.env.tasks import SideThread
from highwayman.serving.http.asgi import Receive, Scope, read_body
from highwayman.serving.http.validation import DEFAULT_LIMITS, BodyLimits

_Result = TypeVar("_Result")


class BodyReader:
    """Has bodies read."""

    def __init__(self, limits: BodyLimits = DEFAULT_LIMITS, *, patience_s: float = 30.0) -> None:
        """Take how much a body may hold, and how long a short one may take to come, in seconds."""
        self.limits = limits
        self._patience_s = patience_s
        self._side = SideThread()

    def follow(self, limits: BodyLimits, *, patience_s: float) -> None:
        """Go on with these for the bodies to come."""
        self.limits, self._patience_s = limits, patience_s

    async def receive(self, scope: Scope, receive: Receive, *, limit_bytes: int) -> bytes:
        """Return a request's body. Raises what `read_body` raises."""
        return await read_body(scope, receive, limit_bytes=limit_bytes, patience_s=self._patience_s)

    async def read(self, raw: bytes, work: Callable[[], _Result]) -> _Result:
        """Return what `work` makes of `raw`, done in the side thread if that is large; raise what it raises."""
        if len(raw) <= PIECE_BYTES:
            return work()
        return await self._side.run(work)

    def close(self) -> None:
        """End the thread."""
        self._side.close()
