"""The call to a model server: replicas and other arms are tried until a first byte has come, then no more."""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from highwayman.env.errors import UpstreamError
from highwayman.env.json_pieces import PIECE_BYTES, dump_aside, parse_aside
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.replica_order import replica_order
from highwayman.env.types import Arm, JsonObject
from highwayman.env.upstream.self_consistency import majority_vote, non_streaming, to_sse

_RETRIED = frozenset({429, 500, 502, 503, 504})  # another server may do better; any other 4xx is the request's fault


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """Time limits of one attempt, in seconds."""

    connect_s: float = 2.0
    first_byte_s: float = 120.0
    silence_s: float = 120.0  # between two chunks of a stream


@dataclass(slots=True)
class UpstreamResponse:
    """An upstream that has begun to answer. Close it, or read `chunks` to the end."""

    arm: Arm
    status: int
    content_type: str
    sent_at: float  # by the clock given to Upstream
    first_byte_at: float
    _first: bytes = field(repr=False)
    _response: aiohttp.ClientResponse | None = field(default=None, repr=False)  # None: `_first` is all there is
    _silence_s: float = 0.0
    attempts: int = 1

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises UpstreamError if it breaks off or falls silent."""
        yield self._first
        while self._response is not None:
            try:
                async with asyncio.timeout(self._silence_s):
                    chunk = await self._response.content.readany()
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                self._response.close()
                raise UpstreamError(f"arm {self.arm.name!r} broke off its answer: {_why(error)}") from error
            if not chunk:
                return
            yield chunk

    async def body(self) -> bytes:
        """Return the whole body. Raises UpstreamError if it breaks off."""
        return b"".join([chunk async for chunk in self.chunks()])

    def close(self) -> None:
        """Drop the connection, which tells the server to stop generating. Harmless once the body has been read."""
        if self._response is not None:
            self._response.close()


@dataclass(frozen=True, slots=True)
class _Sending:
    path: str
    body: bytes


class Upstream:
    """Calls arms over one shared connection pool."""

    def __init__(
        self, health: EndpointHealth, clock: Callable[[], float], limits: UpstreamTimeouts | None = None
    ) -> None:
        """Take where to note failures, a monotonic clock in seconds, and the time limits."""
        self._health = health
        self._clock = clock
        self._limits = limits or UpstreamTimeouts()
        self._in_flight: dict[str, int] = {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool; needs a running event loop."""
        connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(), keepalive_timeout=60.0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_s)
        # One session serves all tenants: a cookie one of them was given must not go out with another's request.
        jar = aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar)

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()

    def pending_calls(self, endpoint: str) -> int:
        """Return how many calls to `endpoint` have not had their first byte yet."""
        return self._in_flight.get(endpoint, 0)

    async def open(
        self,
        arms: Sequence[Arm],
        path: str,
        body_for: Callable[[Arm], JsonObject],
        *,
        large: bool = False,
        affinity: str = "",
    ) -> UpstreamResponse:
        """Return the first answer that begins, trying each arm's replicas in turn, the arms in the order given.

        Bodies that are `large` are written down beside the event loop. A conversation, which `affinity` names, has
        replicas of its own that are asked before others.

        Raises:
            UpstreamError: every attempt failed; says how many were made and why the last one failed.
        """
        attempts, last = 0, "it has no endpoint"
        failed: UpstreamError | None = None
        for arm in arms:
            body = await dump_aside(body_for(arm), large=large)
            for endpoint in self._in_order(arm, affinity):
                attempts += 1
                try:
                    answer = await self._ask(arm, endpoint, _Sending(path, body))
                    answer.attempts = attempts
                    return answer
                except UpstreamError as error:
                    failed, last = error, f"{arm.name!r}: {error}"
        status = failed.status if failed is not None else 502
        raise UpstreamError(
            f"No model server answered after {attempts} attempt(s); the last, arm {last}",
            status=status,
            attempts=attempts,
        )

    async def _ask(self, arm: Arm, endpoint: str, sending: _Sending) -> UpstreamResponse:
        """Return one server's answer: the first of its kind, or what most of `best_of` answers say."""
        count = arm.profile.best_of
        request = await parse_aside(sending.body) if count > 1 else {}
        if count == 1 or (request.get("n") or 1) > 1:  # a caller who wants several answers gets them unvoted
            return await self._attempt(arm, endpoint, sending)
        large = len(sending.body) > PIECE_BYTES
        single = _Sending(sending.path, await dump_aside(non_streaming(request), large=large))
        calls = [asyncio.ensure_future(self._attempt(arm, endpoint, single)) for _ in range(count)]
        try:
            answers = await asyncio.gather(*calls)
            bodies = [await answer.body() for answer in answers]
        finally:
            for call in calls:
                _stop(call)
        answer = answers[0]
        refused = next((place for place, answer in enumerate(answers) if answer.status >= 400), None)
        if refused is not None:
            return replace(answers[refused], _first=bodies[refused], _response=None)
        voted = majority_vote([_checked(await _parsed(body)) for body in bodies])
        stream = bool(request.get("stream"))
        body = to_sse(voted) if stream else json.dumps(voted, ensure_ascii=False).encode()
        kind = "text/event-stream" if stream else "application/json"
        return replace(answer, _first=body, _response=None, content_type=kind, first_byte_at=self._clock())

    def _in_order(self, arm: Arm, affinity: str) -> list[str]:
        """Return the arm's endpoints as they are tried."""
        return replica_order(arm.endpoints, is_up=self._health.is_up, load=self.pending_calls, affinity=affinity)

    async def _attempt(self, arm: Arm, endpoint: str, sending: _Sending) -> UpstreamResponse:
        """Return the answer of one server once its first byte is here. Raises UpstreamError if another should try."""
        sent_at = self._clock()
        self._in_flight[endpoint] = self.pending_calls(endpoint) + 1
        try:
            async with asyncio.timeout(self._limits.first_byte_s):
                response = await self._post(arm, endpoint + sending.path, sending.body)
                try:
                    first = await response.content.readany()
                except BaseException:
                    response.close()
                    raise
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._health.on_failure(endpoint)
            status = 504 if isinstance(error, TimeoutError) else 502
            raise UpstreamError(_why(error), status=status) from error
        finally:
            self._in_flight[endpoint] -= 1
        if response.status in _RETRIED:
            if response.status != 429:
                self._health.on_failure(endpoint)
            response.close()
            raise UpstreamError(f"answered {response.status}", status=429 if response.status == 429 else 502)
        self._health.on_success(endpoint)
        return UpstreamResponse(
            arm=arm,
            status=response.status,
            content_type=response.headers.get("content-type", "application/json"),
            sent_at=sent_at,
            first_byte_at=self._clock(),
            _first=first,
            _response=response,
            _silence_s=self._limits.silence_s,
        )

    async def _post(self, arm: Arm, url: str, body: bytes) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("Upstream.start was not awaited")
        headers = {"content-type": "application/json"}
        key = os.environ.get(arm.api_key_env) if arm.api_key_env else None
        if key:
            headers["authorization"] = f"Bearer {key}"
        return await self._session.post(url, data=body, headers=headers, allow_redirects=False)


def _stop(call: asyncio.Future[UpstreamResponse]) -> None:
    """Cancel a call, or drop the answer it has begun: either tells its server to stop generating."""
    if not call.cancel() and not call.cancelled() and call.exception() is None:
        call.result().close()


async def _parsed(body: bytes) -> Any:
    """Return the value in a body. Raises UpstreamError if it is no JSON, so that another server is tried."""
    try:
        return await parse_aside(body)
    except ValueError as error:
        raise UpstreamError("answered with something that is not JSON") from error


def _checked(answer: Any) -> JsonObject:
    """Return a whole answer. Raises UpstreamError if it is none, so that another server is tried."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not (isinstance(choices, list) and choices and all(isinstance(choice, dict) for choice in choices)):
        raise UpstreamError("answered without choices")
    return dict(answer)


def _why(error: BaseException) -> str:
    """Return what went wrong in words for a client, without addresses or payload."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return "no connection to it could be made"
    return f"the connection broke ({type(error).__name__})"
