"""The client for event loops, on aiohttp, which the router calls its models with."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import urlsplit

import aiohttp
import yarl

from highwayman.client.call import AsyncSender, Call
from highwayman.client.decision import AsyncDecision
from highwayman.client.endpoint import endpoint
from highwayman.client.errors import ConnectionFailed, RequestTimedOut, RouterError, status_error
from highwayman.client.feedback_methods import FeedbackMethods, said
from highwayman.client.results import ListedDecision, Receipt
from highwayman.client.router_methods import RouterMethods, Wanted
from highwayman.client.statement import HasId, Statement, decision_id_of

T = TypeVar("T")


class AsyncClient(FeedbackMethods, RouterMethods, AsyncSender):
    """A router, asked from coroutines of one event loop. Its connections are kept until `close`."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 2,
        retry_wait_s: float = 0.5,
    ) -> None:
        """Take where the router is and a key, else HIGHWAYMAN_BASE_URL and HIGHWAYMAN_API_KEY; `timeout` in seconds.

        Raises ValueError for an address that is none.
        """
        self.endpoint = endpoint(base_url, api_key, timeout=timeout, max_retries=max_retries, retry_wait_s=retry_wait_s)
        parts = urlsplit(self.endpoint.base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._session: aiohttp.ClientSession | None = None  # made where a loop runs

    def __repr__(self) -> str:
        return f"AsyncClient({self.endpoint.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, call: Call[T]) -> T:
        """Return what the router answers, asked again where that is safe and may help. Raises RouterError."""
        repeated = 0
        while True:
            try:
                return call.answered(await self._answer(call))
            except RouterError as error:
                wait_s = self.endpoint.wait_s(call, error, repeated)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)
            repeated += 1

    def decision_of(self, answer: str | HasId) -> AsyncDecision:
        """Return the decision that made an answer, to speak of it. Raises ValueError where none did."""
        return AsyncDecision(decision_id_of(answer), self)

    async def say_all(self, statements: Sequence[Statement], *, at_once: int = 8) -> list[Receipt | RouterError]:
        """Say many things, some side by side; return of each, in their order, the receipt or why it was refused."""
        turns = asyncio.Semaphore(at_once)
        return await asyncio.gather(*(self._said(statement, turns) for statement in statements))

    async def each_decision(self, **wanted: Unpack[Wanted]) -> AsyncIterator[ListedDecision]:
        """Go through the decisions, newest first, page by page."""
        page = await self.decisions(**wanted)
        for row in page.data:
            yield row
        while page.has_more:
            page = await self.decisions(after=page.next, **wanted)
            for row in page.data:
                yield row

    async def _said(self, statement: Statement, turns: asyncio.Semaphore) -> Receipt | RouterError:
        try:
            async with turns:
                return await self.send(said(statement))
        except RouterError as error:
            return error

    async def _answer(self, call: Call[Any]) -> bytes:
        """Return the answer's body. Raises RouterError."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self.endpoint.headers(), timeout=aiohttp.ClientTimeout(self.endpoint.timeout_s)
            )
        target = self.endpoint.target(call)
        body = None if call.body is None else json.dumps(call.body)
        url = yarl.URL(self._origin + target, encoded=True)
        try:
            async with self._session.request(call.method, url, data=body) as response:
                status, headers, content = response.status, response.headers, await response.read()
        except TimeoutError as error:
            raise RequestTimedOut(f"no answer to {call.method} {target} in time", sent=True) from error
        except aiohttp.ClientConnectorError as error:
            raise ConnectionFailed(f"no router at {self.endpoint.base_url}: {error}", sent=False) from error
        except aiohttp.ClientError as error:
            raise ConnectionFailed(f"{call.method} {target} was cut off: {type(error).__name__}", sent=True) from error
        if status >= 400:
            raise status_error(status, content, headers.get("retry-after"))
        return content
