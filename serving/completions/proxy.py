"""One decided request: called, passed through, metered, logged; whatever happens, its outcome is on the log."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from typing import Any

from highwayman.env.errors import NoEligibleArm, UpstreamError
from highwayman.env.pool.eligibility import answer_tokens, tools_refused
from highwayman.env.pool.profile import upstream_body, within_window, without_tools
from highwayman.env.types import Arm, Status
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.answers.lines import feed_aside
from highwayman.env.upstream.answers.sse import ResponseIdentity, SseRewriter, parse_finish_reason
from highwayman.env.upstream.answers.transcript import Transcript
from highwayman.env.upstream.answers.usage_report import ReportedUsage
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.serving.completions.calls.answer_headers import answer_headers
from highwayman.serving.completions.calls.call_record import CallRecord
from highwayman.serving.completions.calls.metering import MeteredUsage, meter
from highwayman.serving.completions.calls.passing import passing
from highwayman.serving.completions.calls.rest_limit import RestLimit
from highwayman.serving.completions.calls.tool_use import learn_of_tools
from highwayman.serving.http.asgi import Headers, Send, send_response
from highwayman.serving.http.errors import error_response

_COME_AGAIN = frozenset({429, 503})  # statuses that a Retry-After goes with


class ProxiedCompletion(CallRecord):
    """The life of one request after its decision."""

    async def run(self, send: Send) -> None:
        """Answer the client; the decision is logged before the first byte, the outcome even if the client goes."""
        logged = self._dependencies.journal.submit(self._route.decision)
        try:
            if self._route.cached is not None:
                answer = self._route.cached.response(self._request, now=self._started_at)
            else:
                answer = await self._ask_arms(self._route.arms)
                if answer.account.ending is Ending.TOOLS_REFUSED and self._request.query.tools:
                    answer = await self._ask_without_tools(answer)
            self._take(answer)
            await logged  # on the log or in the spool: the journal waits for neither for long
            await self._pass_on(send, answer)
        except NoEligibleArm as error:
            self._status = Status.REFUSED
            await logged
            await self._refuse(send, error)
        except UpstreamError as error:
            if not error.attempts:  # nobody may be asked
                self._status = Status.REFUSED
            else:
                self._status = Status.TIMEOUT if error.status == 504 else Status.FAILED
            self._attempts = error.attempts
            await logged
            await self._refuse(send, error)
        except asyncio.CancelledError:
            if self._over_at is None:  # else nobody has to wait for the connection's end
                self._status = Status.CUT if self._dependencies.drain.is_cut else Status.CLIENT_GONE
                self._end_attempt(Ending.CLIENT_LEFT)
            self._attempts = max(len(self._tried), 1)
            raise
        finally:
            if self._answer is not None:
                self._answer.close()
            outcome = self._outcome()
            if self._dependencies.tools is not None and self._request.query.tools:
                query, text = self._request.query, self._metered.text
                learn_of_tools(self._dependencies.tools, self._arm, query, outcome, text=text)
            self._dependencies.on_outcome(outcome)
            self._log_outcome(outcome)

    def _take(self, answer: UpstreamResponse) -> None:
        """Note whose answer it is, and whether it shall be written down."""
        self._answer, self._arm, self._attempts = answer, answer.arm, answer.attempts
        self._transcript_for = self._dependencies.observers.wanting_transcript(
            self._request, self._route.decision, self._arm
        )
        if self._transcript_for:
            self._transcript = Transcript()

    async def _ask_without_tools(self, refusal: UpstreamResponse) -> UpstreamResponse:
        """Return the answer of an arm that is asked without the tools, which none takes.

        Raises NoEligibleArm where the caller wants one called.
        """
        self._arm, self._attempts = refusal.arm, refusal.attempts
        if not self._request.query.tools_optional:
            raise tools_refused(dict.fromkeys(attempt.arm for attempt in self._tried))
        self._tools_dropped = True
        return await self._ask_arms(self._route.arms)

    def _ask_arms(self, arms: Sequence[Arm]) -> Coroutine[Any, Any, UpstreamResponse]:
        """Return what, awaited, returns the first answer that begins. Raises UpstreamError if every attempt failed."""
        return self._dependencies.upstream.open(
            arms,
            self._path,
            self._body_for,
            large=self._request.is_large,
            affinity=self._route.affinity,
            tried=self._tried,
            needed_tokens=self._route.needed_tokens,
            may_ask=self._route.may_ask,
        )

    def _body_for(self, arm: Arm) -> dict[str, object]:
        body = without_tools(self._request.body) if self._tools_dropped else self._request.body
        sent = upstream_body(body, arm, chat=self._request.chat)
        query, needed_tokens = self._request.query, self._route.needed_tokens
        if query.limit_is_ceiling and needed_tokens is not None:
            return within_window(sent, arm.context_window_tokens, needed_tokens(arm) - answer_tokens(arm, query))
        return sent

    async def _pass_on(self, send: Send, answer: UpstreamResponse) -> None:
        if answer.account.ending is not Ending.ANSWERED:
            self._status = Status.REFUSED
            await send_response(send, answer.status, await answer.body(), self._headers(answer.content_type))
        elif self._request.stream:
            await self._pass_stream(send, answer)
        else:
            await self._pass_whole(send, answer)

    async def _pass_whole(self, send: Send, answer: UpstreamResponse) -> None:
        body = await answer.body()
        self._metered = self._meter(answer.reported_usage(), AnswerText(answer.answer), answer)
        self._finish_reason = parse_finish_reason(answer.answer)
        if self._transcript is not None:
            self._transcript.add(answer.answer)
        self._status = Status.OK
        body = await self._identity().rewrite_aside(body, answer.answer)
        await send_response(send, answer.status, body, self._headers("application/json"))

    async def _pass_stream(self, send: Send, answer: UpstreamResponse) -> None:
        stream = self._rewriter()
        headers = [*self._headers(answer.content_type), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        try:
            last = await self._pass_events(send, answer, stream)
            self._conclude(answer)
        except UpstreamError as error:  # the head is out: the error can only be the stream's last event
            last = self._on_broken(answer, stream, error)
        finally:
            self._metered = self._meter(stream.usage, stream.words(), answer)
            self._finish_reason = stream.finish_reason
        await send({"type": "http.response.body", "body": last})

    def _on_broken(self, answer: UpstreamResponse, stream: SseRewriter, error: UpstreamError) -> bytes:
        """Return a broken stream's last event; its server is to blame, unless it told that the request is."""
        account = stream.account
        if account is None or account.ending is Ending.ARMS_FAULT:
            answer.blame()
            self._end_attempt(Ending.BROKE_OFF, str(error))
            return self._last_event(error)
        self._status = Status.REFUSED
        self._end_attempt(account.ending, str(error))
        last = self._last_event(error)
        return b"\ndata: " + account.told + b"\n\n" if account.told else last

    def _conclude(self, answer: UpstreamResponse) -> None:
        """Settle, once, that a stream has come to its end, whenever its server ends the connection."""
        if self._concluded is not answer:
            self._concluded = answer
            answer.credit()
            self._end_attempt(Ending.ANSWERED)
            self._over_at, self._status = self._dependencies.timer(), Status.OK

    def _meter(self, report: ReportedUsage | None, text: AnswerText, answer: UpstreamResponse) -> MeteredUsage:
        samples, uncounted = answer.samples, answer.uncounted
        return meter(report, text, prompt_tokens=self._prompt_tokens, samples=samples, uncounted=uncounted)

    def _rewriter(self) -> SseRewriter:
        return SseRewriter(self._identity(), keep_usage=self._request.wants_usage, transcript=self._transcript)

    def _last_event(self, error: UpstreamError) -> bytes:
        """Return what ends a stream that broke off; whatever event had begun ends before it."""
        return b"\ndata: " + error_response(error)[1] + b"\n\n"

    async def _pass_events(self, send: Send, answer: UpstreamResponse, stream: SseRewriter) -> bytes:
        """Pass a stream on but for its last bytes, which are returned. Raises UpstreamError if it breaks off."""
        ready = b""
        rest = RestLimit(answer, stream, choices=self._request.body.get("n"))
        try:
            async for chunk in answer.chunks(passing(send, stream)):
                ready = await feed_aside(stream, chunk)
                if ready and not (stream.complete and answer.has_ended):  # else it goes with the last bytes
                    await send({"type": "http.response.body", "body": ready, "more_body": True})
                    ready = b""
                if stream.failure is not None:
                    raise answer.broken(stream.failure)
                if stream.done:
                    self._conclude(answer)
                rest.on_events()
        except UpstreamError:
            if not stream.complete:
                raise
            rest.is_over = True
        except asyncio.CancelledError:
            if rest.is_whole:  # many leave at the finish reason
                self._conclude(answer)
            raise
        finally:
            rest.close()
        last = ready + stream.finish()
        if not stream.complete:
            raise answer.broken(stream.failure or "it ended without a finish reason")
        return last + rest.missing_end(last)

    def _identity(self) -> ResponseIdentity:
        return ResponseIdentity(self._arm.name, self._route.decision.id, chat=self._request.chat, adds=True)

    async def _refuse(self, send: Send, error: UpstreamError | NoEligibleArm) -> None:
        status, body, code = error_response(error)
        self._dependencies.metrics.on_error(code)
        headers = self._headers("application/json")
        if isinstance(error, UpstreamError) and error.retry_after_s is not None and status in _COME_AGAIN:
            headers = [*headers, (b"retry-after", str(math.ceil(error.retry_after_s)).encode())]
        await send_response(send, status, body, headers)

    def _headers(self, content_type: str) -> Headers:
        return answer_headers(
            content_type,
            self._route.decision,
            self._arm,
            tools_dropped=self._tools_dropped,
            cached=self._route.cached,
            vote_link=self._dependencies.vote_link,
        )
