"""The call to a model server: replicas and other arms are tried until one says something, then no more."""

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp

from highwayman.env.json_pieces import PIECE_BYTES, dump_aside, parse_aside
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.replica_order import replica_order
from highwayman.env.types import Arm, Attempt, JsonObject
from highwayman.env.upstream.attempts import AttemptLog
from highwayman.env.upstream.endings import (
    Account,
    AttemptFailed,
    Ending,
    account_of_exception,
)
from highwayman.env.upstream.lines import AnswerSizes
from highwayman.env.upstream.reading import JSON, AnswerReader, as_whole, refusal_within_200
from highwayman.env.upstream.response import UpstreamResponse
from highwayman.env.upstream.retry_budget import RetryBudget
from highwayman.env.upstream.self_consistency import full_usage, majority_vote, non_streaming
from highwayman.env.upstream.sending import Sending, UpstreamTimeouts, Waiting

__all__ = ["Upstream", "UpstreamResponse", "UpstreamTimeouts"]

_BYTES_PER_TOKEN = 4
_BROKEN = (TimeoutError, aiohttp.ClientError, OSError, ValueError)  # what a call may raise that is its server's doing


class Upstream:
    """Calls arms over one shared connection pool."""

    def __init__(
        self, health: EndpointHealth, clock: Callable[[], float], limits: UpstreamTimeouts | None = None,
        *, budget: RetryBudget | None = None, sizes: AnswerSizes | None = None, loads: ReplicaLoads | None = None,
        wall_clock: Callable[[], float] = time.time,
        on_window_too_small: Callable[[Arm, int | None, int], None] = lambda arm, told, needed: None,
        on_answered: Callable[[Arm, int], None] = lambda arm, needed: None,
        on_tools_refused: Callable[[Arm], None] = lambda arm: None,
    ) -> None:  # fmt: skip
        """Take where to note failures, a monotonic clock in seconds, and the time limits.

        Args:
            health: of the endpoints.
            clock: monotonic seconds.
            limits: the time limits.
            budget: of attempts after the first.
            sizes: how large answers may be.
            loads: how busy the replicas are; its calls are counted there.
            wall_clock: seconds since the epoch, for a Retry-After that is a date.
            on_window_too_small: called with an arm that refused a request as too long for it, with its window,
                if it named it, and with about what the request needed, in tokens.
            on_answered: called with an arm that has begun to answer, and about how many tokens the request needed.
            on_tools_refused: called with an arm whose server says that it takes no tools.
        """
        self._health = health
        self._clock = clock
        self._limits = limits or UpstreamTimeouts()
        self._budget = budget or RetryBudget()
        self._reader = AnswerReader(self._limits, clock, wall_clock, sizes=sizes)
        self._loads = loads or ReplicaLoads(clock)
        self._on_window_too_small = on_window_too_small
        self._on_answered = on_answered
        self._on_tools_refused = on_tools_refused
        self._in_flight: dict[str, int] = {}
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None  # never reuses a connection

    async def start(self) -> None:
        """Open the connection pool; needs a running event loop."""
        self._session = self._open_session(keepalive_timeout=60.0)
        self._fresh = self._open_session(force_close=True)

    def _open_session(self, **connection: Any) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(), **connection)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_s)
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_on_reuse)
        # One session serves all tenants: a cookie one of them was given must not go out with another's request.
        jar = aiohttp.DummyCookieJar()
        return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar, trace_configs=[trace])

    async def close(self) -> None:
        """Close the connection pool."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()

    def pending_calls(self, endpoint: str) -> int:
        """Return how many calls to `endpoint` have not had their first byte yet."""
        return self._in_flight.get(endpoint, 0)

    async def open(
        self,
        arms: Sequence[Arm],
        path: str,
        body_for: Callable[[Arm], JsonObject],
        *,
        tried: list[Attempt] | None = None,
        large: bool = False,
        affinity: str = "",
        needed_tokens: Callable[[Arm], int] | None = None,
    ) -> UpstreamResponse:
        """Return the first answer that begins, trying each arm's replicas in turn, the arms in the order given.

        Args:
            arms: who may answer; after one whose window is too small only those with a larger one are asked.
            path: upstream.
            body_for: returns what an arm is sent.
            tried: is given every attempt as it ends; the last one is that which answers, if one does.
            large: whether bodies are written down beside the event loop.
            needed_tokens: returns about how many tokens the request, with its answer, takes at an arm.
            affinity: names a conversation, which has replicas of its own that are asked before others.

        Raises:
            UpstreamError: every attempt failed; says how many were made and why the last one failed.
        """
        attempts = AttemptLog([] if tried is None else tried, self._clock)
        until = self._clock() + self._limits.all_attempts_s
        self._budget.on_request()
        for arm in arms:
            if not attempts.may_fit(arm):
                continue
            body = body_for(arm)
            sending = Sending(path, await dump_aside(body, large=large), bool(body.get("stream")), until)
            for endpoint in self._in_order(arm, affinity):
                if attempts.tried and (self._clock() >= until or not self._budget.take()):
                    raise attempts.error()
                attempts.begin(arm, endpoint)
                try:
                    answer = await self._ask(arm, endpoint, sending)
                except AttemptFailed as error:
                    attempts.end(error.account)
                    continue
                except BaseException:
                    attempts.end(Account(Ending.CLIENT_LEFT))
                    raise
                attempts.end(answer.account)
                answer.attempts = len(attempts.tried)
                needed = needed_tokens(arm) if needed_tokens is not None else _needed_tokens(sending.body, body)
                if answer.account.ending is Ending.ANSWERED:
                    self._on_answered(arm, needed)
                if answer.account.ending is Ending.TOOLS_REFUSED and body.get("tools"):
                    attempts.without_tools = answer
                    self._on_tools_refused(arm)
                elif answer.account.ending is Ending.WINDOW_TOO_SMALL:
                    attempts.refused = answer
                    self._on_window_too_small(arm, answer.account.window_tokens, needed)
                else:
                    return answer
                break
        return attempts.refusal()

    async def _ask(self, arm: Arm, endpoint: str, sending: Sending) -> UpstreamResponse:
        """Return one server's answer: the first of its kind, or what most of `best_of` answers say."""
        count = arm.profile.best_of
        request = await parse_aside(sending.body) if count > 1 else {}
        if count == 1 or (request.get("n") or 1) > 1:  # a caller who wants several answers gets them unvoted
            return await self._attempt(arm, endpoint, sending)
        large = len(sending.body) > PIECE_BYTES
        single = replace(sending, body=await dump_aside(non_streaming(request), large=large), stream=False)
        calls = [asyncio.ensure_future(self._attempt(arm, endpoint, single)) for _ in range(count)]
        try:
            answers = await asyncio.gather(*calls)
        finally:
            for call in calls:
                _stop(call)
        refused = next((answer for answer in answers if answer.account.ending is not Ending.ANSWERED), None)
        if refused is not None:
            return refused
        voted = majority_vote([answer.answer for answer in answers])
        uncounted = sum(full_usage(answer.answer) is None for answer in answers)
        drawn = replace(answers[0], samples=count, uncounted=uncounted, first_byte_at=self._clock())
        return as_whole(drawn, voted, stream=sending.stream)

    def _in_order(self, arm: Arm, affinity: str) -> list[str]:
        """Return the arm's endpoints as they are tried: those that serve its model, all of them if none is known to."""
        endpoints = self._loads.serving(arm) or arm.endpoints
        busy, load = self._loads.busy(endpoints), self._loads.overload(endpoints) or self.pending_calls
        return replica_order(endpoints, is_up=self._health.is_up, load=load, affinity=affinity, busy=busy)

    async def _attempt(self, arm: Arm, endpoint: str, sending: Sending) -> UpstreamResponse:
        """Return one server's answer once it says something. Raises AttemptFailed if another should try."""
        self._in_flight[endpoint] = self.pending_calls(endpoint) + 1
        waiting, call = Waiting(lambda: self._on_begun(endpoint)), self._loads.on_call(endpoint)
        answer: UpstreamResponse | None = None
        try:
            answer = await self._answer(arm, endpoint, sending, waiting)
        except (*_BROKEN, AttemptFailed) as error:
            account = account_of_exception(error)
            if account.ending in (Ending.WINDOW_TOO_SMALL, Ending.TOOLS_REFUSED):  # told inside a 200
                return refusal_within_200(arm, account, self._clock())
            if account.model_missing:  # others may be served there
                self._loads.on_model_missing(endpoint, arm.model)
            else:
                self._health.on_failure(endpoint, account.rest_s)
            raise AttemptFailed(account) from error
        finally:
            waiting.end()
            call.end() if answer is None else answer.when_over(call.end)
        self._health.on_success(endpoint)
        return answer

    def _on_begun(self, endpoint: str) -> None:
        self._in_flight[endpoint] -= 1

    async def _answer(self, arm: Arm, endpoint: str, sending: Sending, waiting: Waiting) -> UpstreamResponse:
        sent_at = self._clock()
        async with asyncio.timeout(max(min(self._limits.first_byte_s, sending.until - sent_at), 0.0)):
            response = await self._post(arm, endpoint + sending.path, sending.body)
        answer = UpstreamResponse(
            arm=arm,
            status=response.status,
            content_type=response.headers.get("content-type", JSON),
            sent_at=sent_at,
            first_byte_at=sent_at,
            _first=b"",
            _response=response,
            _silence_s=self._limits.silence_s,
            _on_broken=partial(self._health.on_failure, endpoint),
        )
        try:
            await self._reader.read(answer, response, sending, waiting)
        except BaseException:
            response.close()
            raise
        answer.first_byte_at = self._clock()
        return answer

    async def _post(self, arm: Arm, url: str, body: bytes) -> aiohttp.ClientResponse:
        if self._session is None or self._fresh is None:
            raise RuntimeError("Upstream.start was not awaited")
        headers = {"content-type": JSON}
        key = os.environ.get(arm.api_key_env) if arm.api_key_env else None
        if key:
            headers["authorization"] = f"Bearer {key}"
        told = SimpleNamespace(reused=False)
        try:
            return await self._session.post(
                url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=told
            )
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not told.reused:
                raise
        # The server had closed a connection that was kept for it: that is nobody's fault, and a new one will do.
        return await self._fresh.post(url, data=body, headers=headers, allow_redirects=False)


async def _on_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.reused = True


def _needed_tokens(packed: bytes, body: JsonObject) -> int:
    """Return about how many tokens a request takes, its answer among them."""
    limits = (body.get("max_tokens"), body.get("max_completion_tokens"))
    return len(packed) // _BYTES_PER_TOKEN + max((limit for limit in limits if isinstance(limit, int)), default=0)


def _stop(call: asyncio.Future[UpstreamResponse]) -> None:
    """Cancel a call, or drop the answer it has begun: either tells its server to stop generating."""
    if not call.cancel() and not call.cancelled() and call.exception() is None:
        call.result().close()
