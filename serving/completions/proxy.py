"""One decided request: called, passed through, metered, logged; whatever happens, its outcome is on the log."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pydantic_core

from highwayman.env.cost.usage import cost_usd
from highwayman.env.errors import UpstreamError
from highwayman.env.pool.profile import upstream_body
from highwayman.env.tasks import Background
from highwayman.env.types import Arm, Decision, Outcome, Status, Usage
from highwayman.env.upstream.client import Answer, Upstream
from highwayman.env.upstream.sse import Label, SseStream, finish_of, usage_of
from highwayman.env.upstream.transcript import Transcript
from highwayman.feedback.log.journal import Journal
from highwayman.serving.completions.observers import Answered, Audience, Ear
from highwayman.serving.completions.request import Asked
from highwayman.serving.completions.router import Route
from highwayman.serving.http.asgi import Headers, Send, send_whole
from highwayman.serving.http.errors import described
from highwayman.serving.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Line:
    """What every call needs beside its request."""

    upstream: Upstream
    journal: Journal
    metrics: Metrics
    background: Background
    clock: Callable[[], float]  # seconds since the epoch
    timer: Callable[[], float]  # monotonic seconds
    ended: Callable[[Outcome], None]  # told at once of every call that ended
    audience: Audience
    vote_link: Callable[[Decision], str] | None = None  # the address of a page for one vote on an answer


class Call:
    """The life of one request after its decision."""

    def __init__(self, line: Line, asked: Asked, route: Route, *, path: str) -> None:
        """Take the line, the request and its route, and the upstream path."""
        self._line = line
        self._asked = asked
        self._route = route
        self._path = path
        self._arm: Arm = route.arms[0]
        self._answer: Answer | None = None
        self._status = Status.FAILED
        self._attempts = 1
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._transcript: Transcript | None = None
        self._wanted_by: tuple[Ear, ...] = ()
        self._started_at = line.timer()

    async def run(self, send: Send) -> None:
        """Answer the client; the decision is logged before the first byte, the outcome even if the client goes."""
        logged = asyncio.create_task(self._line.journal.put(self._route.decision))
        try:
            self._answer = await self._line.upstream.open(self._route.arms, self._path, self._body_for)
            self._arm, self._attempts = self._answer.arm, self._answer.attempts
            self._wanted_by = self._line.audience.wanting_text(self._asked, self._route.decision, self._arm)
            if self._wanted_by:
                self._transcript = Transcript()
            await asyncio.wait({logged})  # on the log or in the spool: the journal waits for neither for long
            await self._pass_on(send, self._answer)
        except UpstreamError as error:
            self._status = Status.TIMEOUT if error.status == 504 else Status.FAILED
            self._attempts = self._answer.attempts if self._answer else error.attempts
            await asyncio.wait({logged})
            await self._refuse(send, error)
        except asyncio.CancelledError:
            self._status = Status.CLIENT_GONE
            raise
        finally:
            if self._answer is not None:
                self._answer.close()
            outcome = self._outcome()
            self._line.ended(outcome)
            self._line.background.spawn(self._log_outcome(outcome))

    def _body_for(self, arm: Arm) -> dict[str, object]:
        return upstream_body(self._asked.body, arm, chat=self._asked.chat)

    async def _pass_on(self, send: Send, answer: Answer) -> None:
        if answer.status >= 400:
            self._status = Status.REFUSED
            await send_whole(send, answer.status, await answer.body(), self._headers(answer.content_type))
        elif self._asked.stream:
            await self._pass_stream(send, answer)
        else:
            await self._pass_whole(send, answer)

    async def _pass_whole(self, send: Send, answer: Answer) -> None:
        body = await answer.body()
        try:
            parsed = pydantic_core.from_json(body)
        except ValueError as error:
            raise UpstreamError(f"arm {self._arm.name!r} answered with something that is not JSON") from error
        self._usage, self._finish_reason = usage_of(parsed), finish_of(parsed)
        if self._transcript is not None:
            self._transcript.add(parsed)
        self._status = Status.OK
        await send_whole(send, answer.status, self._label().put_on(body), self._headers("application/json"))

    async def _pass_stream(self, send: Send, answer: Answer) -> None:
        stream = SseStream(self._label(), keep_usage=self._asked.wants_usage, transcript=self._transcript)
        headers = [*self._headers(answer.content_type), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        try:
            async for chunk in answer.chunks():
                ready = stream.feed(chunk)
                if ready:
                    await send({"type": "http.response.body", "body": ready, "more_body": True})
            self._status = Status.OK
            last = stream.finish()
        except UpstreamError as error:  # the head is out: the error can only be the stream's last event
            last = b"data: " + described(error)[1] + b"\n\n"
        finally:
            estimate = Usage(self._route.decision.context.prompt_tokens, stream.data_lines)
            self._usage, self._finish_reason = stream.usage or estimate, stream.finish_reason
        await send({"type": "http.response.body", "body": last})

    def _label(self) -> Label:
        return Label(self._arm.name, self._route.decision.id)

    async def _refuse(self, send: Send, error: UpstreamError) -> None:
        status, body, code = described(error)
        self._line.metrics.refused.labels(code).inc()
        await send_whole(send, status, body, self._headers("application/json"))

    def _headers(self, content_type: str) -> Headers:
        decision = self._route.decision
        return [
            (b"content-type", content_type.encode("latin-1")),
            (b"x-highwayman-decision", decision.id.encode()),
            (b"x-highwayman-arm", self._arm.name.encode()),
            (b"x-highwayman-propensity", repr(decision.propensity).encode()),
            *self._vote_link(decision),
        ]

    def _vote_link(self, decision: Decision) -> Headers:
        link = self._line.vote_link
        return () if link is None else ((b"x-highwayman-feedback-url", link(decision).encode()),)

    def _outcome(self) -> Outcome:
        """Return what came of the call, as far as it got."""
        decision, answer, now = self._route.decision, self._answer, self._line.timer()
        usage = self._usage or Usage(decision.context.prompt_tokens if answer else 0, 0)
        return Outcome(
            decision_id=decision.id,
            at=self._line.clock(),
            arm=self._arm.name,
            status=self._status,
            prompt_tokens=decision.context.prompt_tokens,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            cost_usd=cost_usd(self._arm, usage),
            ttft_s=answer.first_byte_at - answer.sent_at if answer else None,
            latency_s=now - (answer.sent_at if answer else self._started_at),
            finish_reason=self._finish_reason,
            attempts=self._attempts,
        )

    async def _log_outcome(self, outcome: Outcome) -> None:
        """Put the outcome on the log, behind its decision: the journal keeps the order."""
        self._line.metrics.ended(self._route.decision, outcome)
        await self._line.journal.put(outcome)
        answered = Answered(self._asked, self._route.decision, outcome, self._transcript, self._wanted_by)
        self._line.audience.heard(answered)
