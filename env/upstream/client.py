"""The call to a model server: replicas and other arms are tried until one says something, then no more."""

import asyncio
import math
import os
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp

from highwayman.env.errors import UpstreamError
from highwayman.env.json_pieces import PIECE_BYTES, dump_aside, parse_aside
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.replica_order import replica_order
from highwayman.env.pool.response_times import ResponseTimes
from highwayman.env.types import Arm, Attempt, JsonObject
from highwayman.env.upstream.answer_observer import NO_OBSERVER, AnswerObserver
from highwayman.env.upstream.attempts import AttemptLog
from highwayman.env.upstream.endings import (
    Account,
    AttemptFailed,
    Ending,
    account_of_exception,
)
from highwayman.env.upstream.lines import AnswerSizes
from highwayman.env.upstream.overtaken import OVERTAKEN, OvertakenCalls, stop
from highwayman.env.upstream.reading import JSON, AnswerReader, as_whole, refusal_within_200
from highwayman.env.upstream.response import UpstreamResponse
from highwayman.env.upstream.retry_budget import RetryBudget
from highwayman.env.upstream.self_consistency import full_usage, majority_vote, non_streaming
from highwayman.env.upstream.sending import Sending, UpstreamTimeouts, Waiting
from highwayman.env.upstream.targets import Target, Targets
from highwayman.env.upstream.usage_report import parse_reported_usage

__all__ = ["Upstream", "UpstreamResponse", "UpstreamTimeouts"]

_BYTES_PER_TOKEN = 4
_UNKNOWN_USUAL_S = 0.05  # to an answer of a server that nobody has timed yet
_PROBE_PATIENCE, _LEAST_PROBE_S = 3.0, 10.0  # times what others may take: a server may have become slower
_UNKNOWN_PROBE_S = 30.0  # to the first event of a stream
_BROKEN = (TimeoutError, aiohttp.ClientError, OSError, ValueError)  # what a call may raise that is its server's doing


class Upstream:
    """Calls arms over one shared connection pool."""

    def __init__(
        self, health: EndpointHealth, clock: Callable[[], float], limits: UpstreamTimeouts | None = None,
        *, budget: RetryBudget | None = None, sizes: AnswerSizes | None = None, loads: ReplicaLoads | None = None,
        wall_clock: Callable[[], float] = time.time, observer: AnswerObserver = NO_OBSERVER,
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
            observer: hears what answers tell of arms.
        """
        self._health = health
        self._clock = clock
        self._limits = limits or UpstreamTimeouts()
        self._budget = budget or RetryBudget()
        self._reader = AnswerReader(self._limits, clock, wall_clock, sizes=sizes)
        self._loads = loads or ReplicaLoads(clock)
        self._observer = observer
        self._times = ResponseTimes(least_s=self._limits.least_patience_s)
        self._in_flight: dict[str, int] = {}
        self._under_way: set[asyncio.Task[UpstreamResponse]] = set()  # calls that no request waits for
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
        for call in tuple(self._under_way):
            call.cancel()
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
            affinity: names a conversation, which has replicas of its own that are asked before others.
            needed_tokens: returns what the request takes of an arm's window; None: it is guessed from its size.

        Raises:
            UpstreamError: every attempt failed; says how many were made and why the last one failed.
        """
        attempts = AttemptLog([] if tried is None else tried, self._clock)
        overtaken = OvertakenCalls(self._under_way)
        until = self._clock() + self._limits.all_attempts_s
        self._budget.on_request()
        targets = Targets(arms, self._health, partial(self._in_order, affinity=affinity))
        sendings: dict[str, Sending] = {}
        try:
            while (target := targets.first) is not None:
                arm = target.arm
                if arm.name not in sendings:
                    sendings[arm.name] = await _sending(path, body_for(arm), until, large=large)
                    continue  # somebody else may have asked it meanwhile
                if attempts.tried and (self._clock() >= until or not self._budget.take()):
                    break
                sending, second = sendings[arm.name], targets.take(target)
                answer = await self._try(target, sending, second, attempts=attempts, overtaken=overtaken)
                if answer is None:
                    continue
                needed = needed_tokens(arm) if needed_tokens is not None else _needed_tokens(sending)
                if not self._is_refusal(answer, sending, needed, attempts):
                    return answer
                targets.keep(partial(_may_still_answer, attempts, arm))
            answer = await overtaken.last(attempts)
            if answer is not None:
                return answer
            if target is None:
                return self._refusal(attempts, targets)
            raise attempts.error()
        finally:
            overtaken.let_go()

    async def _try(
        self,
        target: Target,
        sending: Sending,
        second: Target | None,
        *,
        attempts: AttemptLog,
        overtaken: OvertakenCalls,
    ) -> UpstreamResponse | None:
        """Return the answer of one server, None if it has none; all is on record.

        Where a `second` may be asked, none is waited for longer than is usual there; and one that has rested after
        failures only for as long as the second would take.
        """
        arm, endpoint = target.arm, target.endpoint
        attempts.begin(arm, endpoint)
        on_probe_end = self._health.begin_probe(endpoint, arm.model)
        is_probe = second is not None and on_probe_end is not None
        call = self._ask(arm, endpoint, replace(sending, is_probe=is_probe, is_patient=second is None))
        try:
            answer: UpstreamResponse | None
            if second is not None and on_probe_end is not None:
                usual_s = self._times.usual_s(second.endpoint, second.arm.model, stream=sending.stream)
                answer = await overtaken.within(usual_s or _UNKNOWN_USUAL_S, target, call, on_probe_end)
            else:
                answer = await call
        except AttemptFailed as error:
            attempts.end(error.account)
            return None
        except BaseException:
            attempts.end(Account(Ending.CLIENT_LEFT))
            raise
        finally:
            if second is None and on_probe_end is not None:
                on_probe_end()
        attempts.end(OVERTAKEN if answer is None else answer.account)
        if answer is not None:
            answer.attempts = len(attempts.tried)
        return answer

    def _is_refusal(self, answer: UpstreamResponse, sending: Sending, needed: int, attempts: AttemptLog) -> bool:
        """Return whether another arm may do what this one says that it cannot; what it says of itself is told."""
        arm, account = answer.arm, answer.account
        if account.ending is Ending.WINDOW_TOO_SMALL:
            attempts.refused = answer
            self._observer.on_window_too_small(arm, account.window_tokens, needed)
        elif account.ending is Ending.TOOLS_REFUSED and sending.offers_tools:
            attempts.without_tools = answer
            self._observer.on_tools_refused(arm)
        else:
            if account.ending is Ending.ANSWERED:
                self._observer.on_answered(arm, needed)
            return False
        return True

    @staticmethod
    def _refusal(attempts: AttemptLog, targets: Targets) -> UpstreamResponse:
        """Return what the last arm said of its window or of tools. Raises UpstreamError where it said no such thing."""
        asked_rest = targets.asked_rest()
        if attempts.tried or asked_rest is None:
            return attempts.refusal()
        rest_s, status = asked_rest
        raise UpstreamError(
            "No model server may be asked now: each of them has asked to be left alone for a while.",
            status=status,
            attempts=0,
            retry_after_s=rest_s,
        )

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
                stop(call)
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
        may_ask = partial(self._health.may_ask, model=arm.model)
        busy, load = self._loads.busy(endpoints), self._loads.overload(endpoints) or self.pending_calls
        return replica_order(endpoints, is_up=may_ask, load=load, affinity=affinity, busy=busy)

    async def _attempt(self, arm: Arm, endpoint: str, sending: Sending) -> UpstreamResponse:
        """Return one server's answer once it says something. Raises AttemptFailed if another should try."""
        self._in_flight[endpoint] = load = self.pending_calls(endpoint) + 1
        waiting, call = Waiting(lambda: self._on_begun(endpoint)), self._loads.on_call(endpoint)
        answer: UpstreamResponse | None = None
        late_s, begun_at = self._times.late_s(endpoint, arm.model, stream=sending.stream), self._clock()
        try:
            with self._health.waiting(endpoint, arm.model, late_s=late_s):
                answer = await self._answer(arm, endpoint, self._timed(arm, endpoint, sending, load), waiting)
        except (*_BROKEN, AttemptFailed) as error:
            account = account_of_exception(error)
            if account.ending in (Ending.WINDOW_TOO_SMALL, Ending.TOOLS_REFUSED):  # told inside a 200
                return refusal_within_200(arm, account, self._clock())
            if account.model_missing:  # others may be served there
                self._loads.on_model_missing(endpoint, arm.model)
            else:
                self._health.on_failure(
                    endpoint, account.rest_s, model=arm.model, status=account.status, begun_at=begun_at
                )
            raise AttemptFailed(account) from error
        finally:
            waiting.end()
            call.end() if answer is None else answer.when_over(call.end)
        self._on_answer(answer, endpoint, sending, load)
        return answer

    def _timed(self, arm: Arm, endpoint: str, sending: Sending, load: int) -> Sending:
        """Return what is sent, with the time it may take where somebody else can be asked."""
        if sending.is_patient:
            return sending
        limit_s = self._times.limit_s(
            endpoint,
            arm.model,
            stream=sending.stream,
            tokens=sending.answer_tokens or arm.context_window_tokens,
            request_bytes=len(sending.body),
            waiting=load,
        )
        if sending.is_probe:  # nobody waits for it; but it must end, for the next one to begin
            known, unknown_s = limit_s < math.inf, _UNKNOWN_PROBE_S if sending.stream else math.inf
            limit_s = max(_PROBE_PATIENCE * limit_s, _LEAST_PROBE_S) if known else unknown_s
        return replace(sending, limit_s=limit_s)

    def _on_answer(self, answer: UpstreamResponse, endpoint: str, sending: Sending, load: int) -> None:
        """Note that a server has answered, or begun to, and how long that took."""
        model, seconds = answer.arm.model, answer.first_byte_at - answer.sent_at
        if answer.account.ending is Ending.ANSWERED and sending.stream:
            size = len(sending.body)
            self._times.on_begun(endpoint, model, seconds=seconds, request_bytes=size, waiting=load)
        elif answer.account.ending is Ending.ANSWERED:
            usage = parse_reported_usage(answer.answer)
            tokens = usage.tokens_out if usage is not None else None
            self._times.on_whole(endpoint, model, seconds=seconds, tokens=tokens, waiting=load)
        if answer.is_whole:
            self._health.on_success(endpoint, model)
        else:
            self._health.on_begun(endpoint, model)

    def _on_begun(self, endpoint: str) -> None:
        self._in_flight[endpoint] -= 1

    async def _answer(self, arm: Arm, endpoint: str, sending: Sending, waiting: Waiting) -> UpstreamResponse:
        sent_at = self._clock()
        limit_s = min(self._limits.first_byte_s, sending.limit_s, sending.until - sent_at)
        async with asyncio.timeout(max(limit_s, 0.0)):
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
            _on_broken=partial(self._health.on_failure, endpoint, model=arm.model, begun_at=sent_at),
            _on_whole=partial(self._health.on_success, endpoint, arm.model),
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


async def _sending(path: str, body: JsonObject, until: float, *, large: bool) -> Sending:
    """Return what an arm is sent."""
    limits = (body.get("max_tokens"), body.get("max_completion_tokens"))
    choices = count if isinstance(count := body.get("n"), int) else 1
    answer_tokens = max((limit for limit in limits if isinstance(limit, int)), default=0) * choices
    packed, stream = await dump_aside(body, large=large), bool(body.get("stream"))
    return Sending(path, packed, stream, until, answer_tokens, offers_tools=bool(body.get("tools")))


def _needed_tokens(sending: Sending) -> int:
    """Return about how many tokens a request takes, its answer among them."""
    return len(sending.body) // _BYTES_PER_TOKEN + sending.answer_tokens


def _may_still_answer(attempts: AttemptLog, refused: Arm, arm: Arm) -> bool:
    """Return whether an arm may be asked after one that refused: another one, and large enough."""
    return arm is not refused and attempts.may_fit(arm)
