"""One decided request: called, passed through, metered, logged; whatever happens, its outcome is on the log."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from highwayman.env.cost.usage import cost_usd
from highwayman.env.errors import UpstreamError
from highwayman.env.json_pieces import parse_aside
from highwayman.env.pool.profile import upstream_body
from highwayman.env.tasks import BackgroundTasks
from highwayman.env.types import Arm, Decision, Outcome, Status, Usage
from highwayman.env.upstream.client import Upstream, UpstreamResponse
from highwayman.env.upstream.sse import ResponseIdentity, SseRewriter, parse_finish_reason, parse_usage
from highwayman.env.upstream.transcript import Transcript
from highwayman.feedback.log.journal import Journal
from highwayman.serving.completions.observers import CompletedCall, CompletionObserver, CompletionObservers
from highwayman.serving.completions.request import CompletionRequest
from highwayman.serving.completions.router import Route
from highwayman.serving.http.asgi import Headers, Send, send_response
from highwayman.serving.http.drain import Drain
from highwayman.serving.http.errors import error_response
from highwayman.serving.metrics import Metrics


@dataclass(frozen=True, slots=True)
class ProxyDependencies:
    """What every call needs beside its request."""

    upstream: Upstream
    journal: Journal
    metrics: Metrics
    background: BackgroundTasks
    clock: Callable[[], float]  # seconds since the epoch
    timer: Callable[[], float]  # monotonic seconds
    on_outcome: Callable[[Outcome], None]  # called at once with the outcome of every call
    observers: CompletionObservers
    drain: Drain = field(default_factory=Drain)  # says whether this router has cut its calls
    vote_link: Callable[[Decision], str] | None = None  # the address of a page for one vote on an answer


class ProxiedCompletion:
    """The life of one request after its decision."""

    def __init__(self, dependencies: ProxyDependencies, request: CompletionRequest, route: Route, *, path: str) -> None:
        """Take the dependencies, the request and its route, and the upstream path."""
        self._dependencies = dependencies
        self._request = request
        self._route = route
        self._path = path
        self._arm: Arm = route.arms[0]
        self._answer: UpstreamResponse | None = None
        self._status = Status.FAILED
        self._attempts = 1
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._transcript: Transcript | None = None
        self._transcript_for: tuple[CompletionObserver, ...] = ()
        self._started_at = dependencies.timer()

    async def run(self, send: Send) -> None:
        """Answer the client; the decision is logged before the first byte, the outcome even if the client goes."""
        logged = asyncio.create_task(self._dependencies.journal.put(self._route.decision))
        try:
            self._answer = await self._dependencies.upstream.open(
                self._route.arms,
                self._path,
                self._body_for,
                large=self._request.is_large,
                affinity=self._route.affinity,
            )
            self._arm, self._attempts = self._answer.arm, self._answer.attempts
            self._transcript_for = self._dependencies.observers.wanting_transcript(
                self._request, self._route.decision, self._arm
            )
            if self._transcript_for:
                self._transcript = Transcript()
            await asyncio.wait({logged})  # on the log or in the spool: the journal waits for neither for long
            await self._pass_on(send, self._answer)
        except UpstreamError as error:
            self._status = Status.TIMEOUT if error.status == 504 else Status.FAILED
            self._attempts = self._answer.attempts if self._answer else error.attempts
            await asyncio.wait({logged})
            await self._refuse(send, error)
        except asyncio.CancelledError:
            self._status = Status.CUT if self._dependencies.drain.is_cut else Status.CLIENT_GONE
            raise
        finally:
            if self._answer is not None:
                self._answer.close()
            outcome = self._outcome()
            self._dependencies.on_outcome(outcome)
            self._dependencies.background.spawn(self._log_outcome(outcome))

    def _body_for(self, arm: Arm) -> dict[str, object]:
        return upstream_body(self._request.body, arm, chat=self._request.chat)

    async def _pass_on(self, send: Send, answer: UpstreamResponse) -> None:
        if answer.status >= 400:
            self._status = Status.REFUSED
            await send_response(send, answer.status, await answer.body(), self._headers(answer.content_type))
        elif self._request.stream:
            await self._pass_stream(send, answer)
        else:
            await self._pass_whole(send, answer)

    async def _pass_whole(self, send: Send, answer: UpstreamResponse) -> None:
        body = await answer.body()
        try:
            parsed = await parse_aside(body)
        except ValueError as error:
            raise UpstreamError(f"arm {self._arm.name!r} answered with something that is not JSON") from error
        self._usage, self._finish_reason = parse_usage(parsed), parse_finish_reason(parsed)
        if self._transcript is not None:
            self._transcript.add(parsed)
        self._status = Status.OK
        await send_response(send, answer.status, self._identity().rewrite(body), self._headers("application/json"))

    async def _pass_stream(self, send: Send, answer: UpstreamResponse) -> None:
        stream = SseRewriter(self._identity(), keep_usage=self._request.wants_usage, transcript=self._transcript)
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
            last = b"data: " + error_response(error)[1] + b"\n\n"
        finally:
            estimate = Usage(self._route.decision.context.prompt_tokens, stream.data_lines)
            self._usage, self._finish_reason = stream.usage or estimate, stream.finish_reason
        await send({"type": "http.response.body", "body": last})

    def _identity(self) -> ResponseIdentity:
        return ResponseIdentity(self._arm.name, self._route.decision.id)

    async def _refuse(self, send: Send, error: UpstreamError) -> None:
        status, body, code = error_response(error)
        self._dependencies.metrics.refused.labels(code).inc()
        await send_response(send, status, body, self._headers("application/json"))

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
        link = self._dependencies.vote_link
        return () if link is None else ((b"x-highwayman-feedback-url", link(decision).encode()),)

    def _outcome(self) -> Outcome:
        """Return what came of the call, as far as it got."""
        decision, answer, now = self._route.decision, self._answer, self._dependencies.timer()
        usage = self._usage or Usage(decision.context.prompt_tokens if answer else 0, 0)
        return Outcome(
            decision_id=decision.id,
            at=self._dependencies.clock(),
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
        self._dependencies.metrics.on_outcome(self._route.decision, outcome)
        await self._dependencies.journal.put(outcome)
        completed = CompletedCall(self._request, self._route.decision, outcome, self._transcript, self._transcript_for)
        self._dependencies.observers.notify(completed)
