"""One call to one model server: how long it may take, and what it tells of the server."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from functools import partial

import aiohttp

from highwayman.env.load.replica_loads import CallCount, ReplicaLoads
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.response_times import ResponseTimes
from highwayman.env.types import Arm
from highwayman.env.upstream.answers.endings import AttemptFailed, Ending, account_of_exception
from highwayman.env.upstream.calls.connections import Connections
from highwayman.env.upstream.calls.reading import JSON, AnswerReader, refusal_within_200
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.env.upstream.calls.sending import Sending, UpstreamTimeouts

_PROBE_PATIENCE, _LEAST_PROBE_S = 3.0, 10.0  # times what others may take: a server may have become slower
_UNKNOWN_PROBE_S = 30.0  # to the first event of a stream
_BROKEN = (TimeoutError, aiohttp.ClientError, OSError, ValueError)  # what a call may raise that is its server's doing


class ServerCalls:
    """Calls single servers, and notes how they do."""

    def __init__(
        self,
        health: EndpointHealth,
        clock: Callable[[], float],
        limits: UpstreamTimeouts,
        *,
        reader: AnswerReader,
        loads: ReplicaLoads,
    ) -> None:
        """Take where to note failures, a monotonic clock in seconds, the time limits, what reads answers, and loads."""
        self._health, self._clock, self._limits, self._reader, self._loads = health, clock, limits, reader, loads
        self.connections = Connections(limits.connect_s)
        self.times = ResponseTimes(least_s=limits.least_patience_s)
        self._in_flight: Counter[str] = Counter()  # by endpoint: calls that wait for their first byte

    def follow(self, limits: UpstreamTimeouts) -> None:
        """Go on with other time limits, all but that of connecting."""
        self._limits = limits
        self._reader.follow(limits)

    def pending(self, endpoint: str) -> int:
        """Return how many calls to `endpoint` have not had their first byte yet."""
        return self._in_flight[endpoint]

    async def call(self, arm: Arm, endpoint: str, sending: Sending) -> UpstreamResponse:
        """Return one server's answer once it says something. Raises AttemptFailed if another should try."""
        waiting, load_call = CallCount(self._in_flight, endpoint), self._loads.on_call(endpoint)
        load = self._in_flight[endpoint]
        answer: UpstreamResponse | None = None
        late_s, begun_at = self.times.late_s(endpoint, arm.model, stream=sending.stream), self._clock()
        try:
            with self._health.waiting(endpoint, arm.model, late_s=late_s):
                limit_s = self._limit_s(arm, endpoint, sending, load)
                answer = await self._answer(arm, endpoint, sending, waiting, limit_s=limit_s)
        except (*_BROKEN, AttemptFailed) as error:
            account = account_of_exception(error)
            if account.ending is not Ending.ARMS_FAULT:  # told inside a 200
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
            load_call.end() if answer is None else answer.when_over(load_call.end)
        self._on_answer(answer, endpoint, sending, load)
        return answer

    def _limit_s(self, arm: Arm, endpoint: str, sending: Sending, load: int) -> float:
        """Return how long to wait, for a stream's first meaningful event or a whole answer, as is usual at a server."""
        if sending.is_patient:
            return math.inf
        limit_s = self.times.limit_s(
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
        return limit_s

    def _on_answer(self, answer: UpstreamResponse, endpoint: str, sending: Sending, load: int) -> None:
        """Note that a server has answered, or begun to, and how long that took."""
        model, seconds = answer.arm.model, answer.first_byte_at - answer.sent_at
        if answer.account.ending is Ending.ANSWERED and sending.stream:
            size = len(sending.body)
            self.times.on_begun(endpoint, model, seconds=seconds, request_bytes=size, waiting=load)
        elif answer.account.ending is Ending.ANSWERED:
            usage = answer.reported_usage()
            tokens = usage.tokens_out if usage is not None else None
            self.times.on_whole(endpoint, model, seconds=seconds, tokens=tokens, waiting=load)
        if answer.is_whole:
            self._health.on_success(endpoint, model)
        else:
            self._health.on_begun(endpoint, model)

    async def _answer(
        self, arm: Arm, endpoint: str, sending: Sending, waiting: CallCount, *, limit_s: float
    ) -> UpstreamResponse:
        sent_at = self._clock()
        first_s = min(self._limits.first_byte_s, limit_s, sending.until - sent_at)
        async with asyncio.timeout(max(first_s, 0.0)):
            response = await self.connections.post(arm, endpoint + sending.path, sending.body, stream=sending.stream)
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
            await self._reader.read(answer, response, sending, waiting, limit_s=limit_s)
        except BaseException:
            response.close()
            raise
        answer.first_byte_at = self._clock()
        return answer
