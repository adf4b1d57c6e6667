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
_STREAM_BEGINS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")
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
            return
        first, opening = b"", None
        if sending.stream:
            async with asyncio.timeout(max(until - self._clock(), 0.0)):
                first = await self._first_bytes(response)
                waiting.end()
                if _is_stream(first, answer.content_type):
                    opening = await self._opened(response, first)
        if opening is not None:
            answer._first = opening.data
            answer.content_type = answer.content_type if answer.content_type.startswith(SSE) else SSE
        else:
            body = await self._whole_body(
                response, waiting, first, first_until=until, until=min(answer.sent_at + limit_s, sending.until)
            )
            parsed = await _parsed(body)
            if sending.stream:  # a server that does not stream
                as_whole(answer, parsed, stream=True)
            else:
                answer.answer, answer._first, answer._response = parsed, body, None

    async def _first_bytes(self, response: ServerResponse) -> bytes:
        """Return what comes first of a body, as far as tells a stream from a whole answer; none if it is empty."""
        first = b""
        while not first.strip() and len(first) <= self._sizes.line:
            chunk = await response.content.readany()
            if not chunk:
                break
            first += chunk
        return first

    async def _opened(self, response: ServerResponse, first: bytes) -> StreamOpening:
        """Return a stream as far as it says something. Raises AttemptFailed if it does not."""
        opening = StreamOpening(self._sizes)
        await feed_aside(opening, first)
        while not opening.begun:
            chunk = await response.content.readany()
            if chunk:
                await feed_aside(opening, chunk)
            else:
                opening.finish()
        return opening

    async def _whole_body(
        self, response: ServerResponse, waiting: CallCount, first: bytes, *, first_until: float, until: float
    ) -> bytes:
        """Return the body: its first bytes by `first_until`, none after a long silence, its end by `until`.

        Raises AttemptFailed if it is too large. `first` is what has been read of it.
        """
        parts = [first] if first else []
        size = len(first)
        while True:
            if size > self._sizes.whole:
                raise AttemptFailed(Account(Ending.ARMS_FAULT, self._sizes.too_large()))
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


def _is_stream(first: bytes, content_type: str) -> bool:
    """Return whether a body that begins with `first` is a stream of events, whatever it is called."""
    begin = first.lstrip()
    if content_type.startswith(JSON):
        return begin.startswith(_STREAM_BEGINS)
    return begin[:1] not in (b"{", b"[")


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
