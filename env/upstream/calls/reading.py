"""Reading an answer as far as decides whether it is one."""

import asyncio
import json
from collections.abc import Callable

from highwayman.env.json_pieces import parse_aside
from highwayman.env.load.replica_loads import CallCount
from highwayman.env.types import Arm, JsonObject
from highwayman.env.upstream.answers.endings import Account, AttemptFailed, Ending, account_of_answer, account_of_status
from highwayman.env.upstream.answers.lines import AnswerSizes, feed_aside
from highwayman.env.upstream.answers.self_consistency import to_sse
from highwayman.env.upstream.answers.stream_opening import StreamOpening
from highwayman.env.upstream.calls.exchange import ServerResponse
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.env.upstream.calls.sending import Sending, UpstreamTimeouts

SSE, JSON = "text/event-stream", "application/json"
_MOST_REFUSAL_BYTES = 1 << 20


class AnswerReader:
    """Reads answers within the limits of time and size."""

    def __init__(
        self,
        limits: UpstreamTimeouts,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        *,
        sizes: AnswerSizes | None = None,
    ) -> None:
        """Take the time limits, a monotonic clock, one in seconds since the epoch, and how large answers may be."""
        self._limits = limits
        self._sizes = sizes or AnswerSizes()
        self._clock = clock
        self._wall_clock = wall_clock

    def follow(self, limits: UpstreamTimeouts) -> None:
        """Go on with other time limits."""
        self._limits = limits

    async def read(
        self,
        answer: UpstreamResponse,
        response: ServerResponse,
        sending: Sending,
        waiting: CallCount,
        *,
        limit_s: float,
    ) -> None:
        """Read as much of an answer as decides whether it is one, within `limit_s` of its sending.

        Raises AttemptFailed if it is none.
        """
        until = min(answer.sent_at + min(self._limits.first_byte_s, limit_s), sending.until)
        if response.status != 200:
            async with asyncio.timeout(max(until - self._clock(), 0.0)):
                body = await response.content.read(_MOST_REFUSAL_BYTES) if response.status >= 400 else b""
                while body and (more := await response.content.read(_MOST_REFUSAL_BYTES)):
                    body = (body + more)[:_MOST_REFUSAL_BYTES]
            account = account_of_status(response.status, body, response.headers, now=self._wall_clock())
            if account.ending is Ending.ARMS_FAULT:
                raise AttemptFailed(account)
            response.close()
            answer.account, answer._first, answer._response = account, body, None
        elif sending.stream and not answer.content_type.startswith(JSON):
            opening = StreamOpening(self._sizes)
            async with asyncio.timeout(max(until - self._clock(), 0.0)):
                while not opening.begun:
                    chunk = await response.content.readany()
                    waiting.end()
                    if chunk:
                        await feed_aside(opening, chunk)
                    else:
                        opening.finish()
            answer._first = opening.data
        else:
            body = await self._whole_body(
                response, waiting, first_until=until, until=min(answer.sent_at + limit_s, sending.until)
            )
            parsed = await _parsed(body)
            if sending.stream:  # a server that does not stream
                as_whole(answer, parsed, stream=True)
            else:
                answer.answer, answer._first, answer._response = parsed, body, None

    async def _whole_body(
        self, response: ServerResponse, waiting: CallCount, *, first_until: float, until: float
    ) -> bytes:
        """Return the body: its first bytes by `first_until`, none after a long silence, its end by `until`.

        Raises AttemptFailed if it is too large.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            part = response.content.read_nowait()
            if not part and not response.content.at_eof():  # a time limit costs more than reading what is here
                now = self._clock()
                limit_s = min(self._limits.silence_s, until - now) if parts else first_until - now
                async with asyncio.timeout(max(limit_s, 0.0)):
                    part = await response.content.readany()
            if not part:
                return b"".join(parts)
            waiting.end()
            parts.append(part)
            size += len(part)
            if size > self._sizes.whole:
                raise AttemptFailed(Account(Ending.ARMS_FAULT, self._sizes.too_large()))


def as_whole(answer: UpstreamResponse, parsed: JsonObject, *, stream: bool) -> UpstreamResponse:
    """Return `answer` with another body: a whole answer, written as a stream where the caller wants one."""
    answer.answer, answer._response = parsed, None
    answer._first = to_sse(parsed) if stream else json.dumps(parsed, ensure_ascii=False).encode()
    answer.content_type = SSE if stream else JSON
    return answer


def refusal_within_200(arm: Arm, account: Account, now: float) -> UpstreamResponse:
    """Return the refusal of a server that told inside a 200 of its window, that it takes no tools, or what is wrong."""
    error = {"message": f"The request does not fit the context window of {arm.name!r}.",
             "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}  # fmt: skip
    if account.ending is Ending.TOOLS_REFUSED:
        error |= {"message": f"The server of {arm.name!r} takes no tools.", "param": "tools", "code": "tools_refused"}
    told = account.told or json.dumps({"error": error}).encode()
    return UpstreamResponse(arm, account.status, JSON, now, now, _first=told, account=account)


async def _parsed(body: bytes) -> JsonObject:
    """Return a whole answer. Raises AttemptFailed if it is none, so that another server is tried."""
    try:
        answer = await parse_aside(body)
    except ValueError as error:
        raise AttemptFailed(Account(Ending.ARMS_FAULT, "answered with something that is not JSON")) from error
    account = account_of_answer(answer)
    if account.ending is not Ending.ANSWERED:
        raise AttemptFailed(account)
    return dict(answer)
