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
class _TracedRequest:
    """A request under way whose trace is recorded, and its call, once it is decided."""

    operation: str
    decision_id: str = ""
    call: Span | None = None  # None: there is none, or it is over


_request: ContextVar[_TracedRequest | None] = ContextVar("highwayman_request", default=None)  # None: it is not recorded


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
            parent = _W3C.extract(told, Context()) if told else Context()
            span = self._tracer.start_span(f"{scope['method']} {scope['path']}", parent, SpanKind.SERVER, attributes)
            otel_context.attach(trace.set_span_in_context(span))  # of this request's task alone, which ends with it
            _request.set(None)
            if not span.is_recording():  # by the sampler: then nothing but its id goes on
                await handler(running, scope, receive, send)
                return
            request = _TracedRequest("text_completion" if scope["path"] == _COMPLETION else "chat")
            _request.set(request)

            async def send_noted(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            try:
                await handler(running, scope, receive, send_noted)
            finally:
                if request.call is not None:  # nobody has said what came of it, as of a decision alone
                    request.call.end()
                span.end()

        return traced

    def call_headers(self) -> Mapping[str, str]:
        """Return the headers that tell a model server within whose span it is called."""
        carried: dict[str, str] = {}
        _W3C.inject(carried)
        return carried

    def on_decision(self, decision: Decision, seconds: float) -> None:
        """Make the span of a decision that took so long, and begin that of the call."""
        request = _request.get()
        if request is None:
            return
        ended_ns = time.time_ns()
        decided = self._tracer.start_span(
            "highwayman.decide", attributes=_told_by(decision), start_time=ended_ns - int(seconds * _NS)
        )
        decided.end(ended_ns)
        arm = self._arms().get(decision.arm)
        model = decision.arm if arm is None else arm.model
        attributes = {
            "gen_ai.operation.name": request.operation,
            "gen_ai.provider.name": _provider(arm),
            "gen_ai.request.model": model,
            "highwayman.decision.id": decision.id,
            "highwayman.arm": decision.arm,
        }
        span = self._tracer.start_span(f"{request.operation} {model}", kind=SpanKind.CLIENT, attributes=attributes)
        request.decision_id, request.call = decision.id, span
        otel_context.attach(trace.set_span_in_context(span))

    def on_outcome(self, outcome: Outcome) -> None:
        """End the span of a call with what came of it."""
        request = _request.get()
        if request is None or request.call is None or request.decision_id != outcome.decision_id:
            return
        span, request.call = request.call, None
        arm = self._arms().get(outcome.arm)
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
