"""An answer that takes long to make, made once for all who ask within some seconds."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, TypeVar

_MOST: Final = 32  # answers that are kept


Answer = TypeVar("Answer")


class SharedAnswers(Generic[Answer]):
    """Answers by what was asked, each as good for `fresh_s` seconds."""

    def __init__(self, fresh_s: float, clock: Callable[[], float]) -> None:
        """Take how long an answer is good, and a clock (seconds)."""
        self._fresh_s, self._clock = fresh_s, clock
        self._made: OrderedDict[Hashable, tuple[float, asyncio.Task[Answer]]] = OrderedDict()

    async def get(self, asked: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer, made by the first who asks; what `make` raises passes to all who wait for it."""
        known = self._made.get(asked)
        if known is None or self._clock() - known[0] >= self._fresh_s or _failed(known[1]):
            known = self._clock(), asyncio.ensure_future(make())
            self._made[asked] = known
            self._made.move_to_end(asked)
            while len(self._made) > _MOST:
                self._made.popitem(last=False)
        return await asyncio.shield(known[1])  # who goes away must not end it for the others


def _failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
