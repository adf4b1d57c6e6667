"""How long a stream may be silent: one timer for all of its chunks, which is moved only when it goes off."""

import asyncio
import math
from collections.abc import Callable
from typing import Self


class SilenceLimit:
    """Calls back once somebody has waited for a chunk too long; what passes between two waits does not count."""

    def __init__(
        self, limit_s: float, on_reached: Callable[[], None], taken_at: Callable[[], float] | None = None
    ) -> None:
        """Take how long a wait may last (s), and what ends one that does. Needs a running event loop.

        `taken_at` tells when the last chunk came that ended no wait, by the loop's clock: the wait began anew then.
        """
        self.was_reached = False
        self._limit_s = limit_s
        self._on_reached = on_reached
        self._taken_at = taken_at
        self._loop = asyncio.get_running_loop()
        self._since = math.inf  # when the wait began, by the loop's clock
        self._timer = self._loop.call_later(limit_s, self._check)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def wait(self) -> None:
        """Note that a wait begins."""
        self._since = self._loop.time()

    def end(self) -> None:
        """Note that the wait is over."""
        self._since = math.inf

    def _check(self) -> None:
        now = self._loop.time()
        since = self._since if self._taken_at is None else max(self._since, self._taken_at())
        if now - since >= self._limit_s:
            self.was_reached = True
            self._on_reached()
            return
        begun_at = min(since, now)  # the earliest that a wait which could still be too long began
        self._timer = self._loop.call_at(begun_at + self._limit_s, self._check)
