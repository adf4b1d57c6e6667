"""From a body's bytes to what is made of them: large ones beside the event loop, which answers others meanwhile."""

from collections.abc import Callable
from typing import TypeVar

from highwayman.env.json_pieces import PIECE_BYTES
from highwayman.env.tasks import SideThread
from highwayman.serving.http.validation import DEFAULT_LIMITS, BodyLimits

_Result = TypeVar("_Result")


class BodyReader:
    """Has bodies read."""

    def __init__(self, limits: BodyLimits = DEFAULT_LIMITS) -> None:
        """Take how much a body may hold."""
        self.limits = limits
        self._side = SideThread()

    async def read(self, raw: bytes, work: Callable[[], _Result]) -> _Result:
        """Return what `work` makes of `raw`, done in the side thread if that is large; raise what it raises."""
        if len(raw) <= PIECE_BYTES:
            return work()
        return await self._side.run(work)

    def close(self) -> None:
        """End the thread."""
        self._side.close()
