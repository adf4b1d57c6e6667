"""What keys and tenants have taken, counted in Redis for all routers: many requests' amounts in one round trip."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.connection import DedicatedConnection
from highwayman.feedback.log.redis.scripts import Scripts

SLIDING, CALENDAR = "m", "c"  # kinds of windows
_SETTLED_WITHIN_S: Final = 0.1
_MOST_TOGETHER: Final = 100  # a Lua call holds everybody else up


@dataclass(frozen=True, slots=True)
class Amount:
    """What a request takes from a window, or with no limit, what is added to it afterwards."""

    window: str  # its key
    kind: str
    limit: int | None
    units: int
    keep_s: int  # a window of the calendar
    second: int = 0  # since the epoch, of what is settled


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it."""

    refused: int | None  # the place of the amount that does not fit, None: all of them fit
    wait_s: float | None  # until it would; None: not within its window
    second: int  # since the epoch, by Redis' clock: in which it counts
    sums: tuple[int, ...]  # what each window holds now


class SharedQuotas:
    """Takes amounts from windows, exact however many processes ask at once.

    One call at a time: what is asked while it is under way goes with the next one.
    """

    def __init__(
        self,
        client: "aioredis.Redis",
        *,
        patience_s: float = 0.5,
        timer: Callable[[], float],
        clock: Callable[[], float] | None = None,
        pause_s: float = 1.0,
    ) -> None:
        """Take the client whose kind of connection is made.

        Args:
            client: made by `redis.connect`.
            patience_s: how long a call may take.
            timer: monotonic, in seconds.
            clock: seconds since the epoch; None: that of Redis, the same for all.
            pause_s: how long Redis is left alone once it has not answered.
        """
        self._connection = DedicatedConnection(client)
        self._scripts = Scripts(client, "take", execute=self._connection.execute)
        self._patience_s, self._pause_s = patience_s, pause_s
        self._timer, self._clock = timer, clock
        self._queue: deque[tuple[Sequence[Amount], asyncio.Future[Taken] | None]] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._away_until = float("-inf")
        self._is_closed = False
        self._settling: asyncio.TimerHandle | None = None

    async def take(self, amounts: Sequence[Amount]) -> Taken:
        """Take all amounts, or none of them. Raises StoreUnavailable."""
        future: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._queue.append((amounts, future))
        self._start()
        return await future

    def settle(self, amounts: Sequence[Amount]) -> None:
        """Add amounts, which may be below 0, to what was taken, with the next call or soon.

        Where Redis is away, all stays as it is.
        """
        if self._is_closed:
            return
        self._queue.append((amounts, None))
        if self._sending is None and self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(_SETTLED_WITHIN_S, self._start)

    async def close(self) -> None:
        """Send what waits, and close the connection; what comes later is not settled."""
        self._is_closed = True
        if self._queue:
            self._start()
        if self._sending is not None:
            await asyncio.wait({self._sending})
        await self._connection.close()

    def _start(self) -> None:
        """Have what waits sent."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), _MOST_TOGETHER))]
                try:
                    replies = await self._called([amounts for amounts, _ in batch])
                except StoreUnavailable as error:
                    self._away_until = self._timer() + self._pause_s
                    for _, future in batch:
                        if future is not None and not future.done():
                            future.set_exception(StoreUnavailable(str(error)))
                    continue
                for (_, future), reply in zip(batch, replies, strict=True):
                    if future is not None and not future.done():
                        future.set_result(_taken(reply))
        finally:
            self._sending = None

    async def _called(self, batch: Sequence[Sequence[Amount]]) -> list[Any]:
        """Return the replies to requests' amounts. Raises StoreUnavailable."""
        if self._timer() < self._away_until:
            raise StoreUnavailable("Redis has not answered just now")
        places: dict[str, int] = {}
        words: list[Any] = ["" if self._clock is None else self._clock()]
        for amounts in batch:
            words.append(len(amounts))
            for amount in amounts:
                place = places.setdefault(amount.window, len(places) + 1)
                limit = "" if amount.limit is None else amount.limit
                words += (place, amount.kind, limit, amount.units, amount.keep_s, amount.second)
        try:
            async with asyncio.timeout(self._patience_s):
                replies: list[Any] = await self._scripts.call("take", list(places), words)
        except TimeoutError:
            raise StoreUnavailable("Redis did not answer in time") from None
        return replies


def _taken(reply: Sequence[int]) -> Taken:
    refused, wait_ms, second, *sums = reply
    return Taken(refused - 1 if refused else None, wait_ms / 1000 if wait_ms >= 0 else None, second, tuple(sums))
