"""Traces of requests by OpenTelemetry's conventions for generative AI. Imported only where they are wanted.

Semantic conventions for generative AI systems, OpenTelemetry (in development, as of 1.37 and later): spans `chat` with
`gen_ai.*`, and `gen_ai.evaluation.result` for what was said of an answer. No prompt, no answer, no comment is in any.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from highwayman.env.types import Arm, Decision, Feedback, Outcome
from highwayman.env.types import Status as CallStatus

_W3C: Final = TraceContextTextMapPropagator()
_CARRIED: Final = (b"traceparent", b"tracestate")
_COMPLETION: Final = "/v1/completions"
_KEPT: Final = 10_000  # answers whose spans feedback may still be told under
_NS: Final = 1e9
_Handler = Callable[..., Awaitable[None]]
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class _Call:
    """A decided request whose answer is under way."""

    decision_id: str
    span: Span
    is_over: bool = False


_path: ContextVar[str] = ContextVar("highwayman_path", default="")
_call: ContextVar[_Call | None] = ContextVar("highwayman_call", default=None)


class RequestTracer:
    """Makes a span of each request, of its decision and of its call; and an event of each statement on an answer."""

    def __init__(self, tracer: Tracer, logger: Logger, arms: Callable[[], Mapping[str, Arm]]) -> None:
        """Take where spans and events go, and what gives the pool's arms by name."""
        self._tracer, self._logger, self._arms = tracer, logger, arms
        self._answers: OrderedDict[str, trace.SpanContext] = OrderedDict()

    def wrapping(self, handler: _Handler) -> _Handler:
        """Return a handler of requests that does what `handler` does within a span, a child of the client's."""

        async def traced(running: Any, scope: _Scope, receive: _Receive, send: _Send) -> None:
            told = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIED}
            attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
            span = self._tracer.start_span(
                f"{scope['method']} {scope['path']}", _W3C.extract(told, Context()), SpanKind.SERVER, attributes
            )

            async def send_noted(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            token, _ = otel_context.attach(trace.set_span_in_context(span)), _path.set(scope["path"])
            _call.set(None)
            try:
                await handler(running, scope, receive, send_noted)
            finally:
                call = _call.get()
                if call is not None and not call.is_over:  # nobody has said what came of it, as of a decision alone
                    call.span.end()
                otel_context.detach(token)
                span.end()

        return traced

    def call_headers(self) -> Mapping[str, str]:
        """Return the headers that tell a model server within whose span it is called."""
        carried: dict[str, str] = {}
        _W3C.inject(carried)
        return carried

    def on_decision(self, decision: Decision, seconds: float) -> None:
        """Make the span of a decision that took so long, and begin that of the call."""
        ended_ns = time.time_ns()
        decided = self._tracer.start_span(
            "highwayman.decide", attributes=_told_by(decision), start_time=ended_ns - int(seconds * _NS)
        )
        decided.end(ended_ns)
        operation = "text_completion" if _path.get() == _COMPLETION else "chat"
        arm = self._arms().get(decision.arm)
        model = decision.arm if arm is None else arm.model
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _provider(arm),
            "gen_ai.request.model": model,
            "highwayman.decision.id": decision.id,
            "highwayman.arm": decision.arm,
        }
        span = self._tracer.start_span(f"{operation} {model}", kind=SpanKind.CLIENT, attributes=attributes)
        _call.set(_Call(decision.id, span))
        otel_context.attach(trace.set_span_in_context(span))  # of this request's context alone, which ends with it

    def on_outcome(self, outcome: Outcome) -> None:
        """End the span of a call with what came of it."""
        call = _call.get()
        if call is None or call.decision_id != outcome.decision_id or call.is_over:
            return
        call.is_over = True
        span, arm = call.span, self._arms().get(outcome.arm)
        span.set_attributes({name: value for name, value in _came_of(outcome, arm).items() if value is not None})
        if outcome.status is not CallStatus.OK:
            span.set_attribute("error.type", outcome.status.value)
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        self._answers[outcome.decision_id] = span.get_span_context()
        if len(self._answers) > _KEPT:
            self._answers.popitem(last=False)

    def on_filed(self, shares: Sequence[Feedback]) -> None:
        """Tell of a statement on each answer that it is about, under the answer's span where this process made it."""
        for share in shares:
            of_answer = self._answers.get(share.decision_id)
            parent = None if of_answer is None else trace.set_span_in_context(trace.NonRecordingSpan(of_answer))
            score = {} if share.value is None else {"gen_ai.evaluation.score.value": share.value}
            label = {"gen_ai.evaluation.score.label": "retracted"} if share.value is None else {}
            self._logger.emit(
                timestamp=int(share.at * _NS),
                context=Context() if parent is None else parent,
                severity_number=SeverityNumber.INFO,
                event_name="gen_ai.evaluation.result",
                attributes={
                    "gen_ai.evaluation.name": share.metric,
                    **score,
                    **label,
                    "gen_ai.response.id": f"chatcmpl-{share.decision_id}",
                    "highwayman.decision.id": share.decision_id,
                    "highwayman.feedback.source": share.source,
                },
            )


def _told_by(decision: Decision) -> dict[str, Any]:
    return {
        "highwayman.decision.id": decision.id,
        "highwayman.arm": decision.arm,
        "highwayman.propensity": decision.propensity,
        "highwayman.candidates": list(decision.arms),
        "highwayman.probabilities": decision.probs.tolist(),
        "highwayman.penalties": decision.penalties.tolist(),
        "highwayman.mode": decision.mode.value,
        "highwayman.objective": decision.objective,
        "highwayman.policy": decision.policy,
        "highwayman.policy_version": decision.policy_version,
    }


def _came_of(outcome: Outcome, arm: Arm | None) -> dict[str, Any]:
    last = outcome.tried[-1].endpoint if outcome.tried else None
    address = urlsplit(last) if last else None
    return {
        "gen_ai.response.model": outcome.arm if arm is None else arm.model,
        "gen_ai.provider.name": _provider(arm),
        "gen_ai.response.id": f"chatcmpl-{outcome.decision_id}",
        "gen_ai.response.finish_reasons": [outcome.finish_reason] if outcome.finish_reason else None,
        "gen_ai.response.time_to_first_chunk": outcome.ttft_s,
        "gen_ai.usage.input_tokens": outcome.tokens_in,
        "gen_ai.usage.output_tokens": outcome.tokens_out,
        "gen_ai.usage.cache_read.input_tokens": outcome.tokens_cached or None,
        "server.address": None if address is None else address.hostname,
        "server.port": None if address is None else address.port,
        "highwayman.served_by": outcome.arm,
        "highwayman.cost_usd": outcome.cost_usd,
        "highwayman.attempts": [f"{attempt.arm}: {attempt.ending}" for attempt in outcome.tried],
    }


def _provider(arm: Arm | None) -> str:
    """Return who serves an arm, as its tag says; else whose protocol it speaks, as the conventions have it."""
    return "openai" if arm is None else arm.tags.get("provider", "openai")
