"""Traces of a running router, as a collector gets them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.served_app import served
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Fail, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE, REFUSED, FAILED = (f"{n}af7651916cd43dd8448eb211c80319c" for n in (0, 1, 2))
CLIENT = "b7ad6b7169203331"
SECRET = "canary-4711"
CHAT = "/v1/chat/completions"


@dataclass
class Collected:
    """What came in, and all bytes of it."""

    spans: list[Span] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    raw: bytes = b""

    def spans_of(self, trace_id: str) -> dict[str, Span]:
        return {span.name: span for span in self.spans if span.trace_id.hex() == trace_id}


def attributes(told: Any) -> dict[str, Any]:
    """The attributes of a span or an event as plain values."""
    return {pair.key: plain(pair.value) for pair in told.attributes}


def plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [plain(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@asynccontextmanager
async def collector(collected: Collected) -> AsyncIterator[str]:
    """An OTLP collector at the address yielded."""

    async def take_traces(request: web.Request) -> web.Response:
        raw = await unpacked(request)
        for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
            collected.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response()

    async def take_logs(request: web.Request) -> web.Response:
        raw = await unpacked(request)
        for resource in ExportLogsServiceRequest.FromString(raw).resource_logs:
            collected.events += [event for scope in resource.scope_logs for event in scope.log_records]
        return web.Response()

    async def unpacked(request: web.Request) -> bytes:
        raw = await request.read()
        collected.raw += raw
        return raw

    app = web.Application()
    app.router.add_post("/v1/traces", take_traces)
    app.router.add_post("/v1/logs", take_logs)
    async with served(app) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced(valkey_url: str, module_namespace: str) -> AsyncIterator[tuple[Collected, dict[str, Any]]]:
    """What a collector got of three requests and two statements; the decisions' ids; what a model server was sent."""
    collected, told = Collected(), {}
    with pytest.MonkeyPatch.context() as patch:
        async with collector(collected) as url, ScriptedUpstream() as upstream:
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
            arms = [arm("small", upstream.url, price=0.1), arm("large", upstream.url, price=1.0)]
            upstream.script(ANY, Say(f"Paris {SECRET}.", tokens_in=9, tokens_out=2))
            config = {"telemetry": {"traces": True}}
            async with running_router(arms, valkey_url, module_namespace, config=config) as router:
                told["answered"] = await post(router, TRACE)
                told["sent"] = upstream.headers[-1]
                told["refused"] = await post(router, REFUSED, model="nobody")
                upstream.script(ANY, Fail(500))
                told["failed"] = await post(router, FAILED)
                for metric, value in (("thumbs", True), ("comment", SECRET)):
                    said = {"decision_id": told["answered"], "metric": metric, "value": value}
                    assert (await router.post("/v1/feedback", said))[0] == 200
            yield collected, told  # a router that ends has sent everything


async def post(router: Router, trace: str, *, model: str = "auto") -> str | None:
    parent = {"traceparent": f"00-{trace}-{CLIENT}-01"}
    async with router.http.post(CHAT, json=ask(SECRET, model=model), headers=parent) as response:
        await response.read()
        return response.headers.get("x-highwayman-decision")


async def test_a_request_is_a_span_within_the_clients_and_decision_and_call_are_within_it(
    traced: tuple[Collected, dict[str, Any]],
) -> None:
    spans = traced[0].spans_of(TRACE)
    request, decide = spans[f"POST {CHAT}"], spans["highwayman.decide"]
    (call,) = (span for name, span in spans.items() if name.startswith("chat "))
    assert request.parent_span_id.hex() == CLIENT
    assert decide.parent_span_id == call.parent_span_id == request.span_id
    assert (request.kind, call.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert request.start_time_unix_nano <= decide.end_time_unix_nano <= call.end_time_unix_nano


async def test_the_model_server_is_called_within_the_span_of_the_call(traced: tuple[Collected, dict[str, Any]]) -> None:
    collected, told = traced
    (call,) = (span for name, span in collected.spans_of(TRACE).items() if name.startswith("chat "))
    assert told["sent"]["traceparent"] == f"00-{TRACE}-{call.span_id.hex()}-01"


async def test_a_decision_tells_candidates_probabilities_and_propensity(
    traced: tuple[Collected, dict[str, Any]],
) -> None:
    collected, told = traced
    said = attributes(collected.spans_of(TRACE)["highwayman.decide"])
    assert said["highwayman.decision.id"] == told["answered"]
    assert said["highwayman.candidates"] == ["small", "large"]
    place = said["highwayman.candidates"].index(said["highwayman.arm"])
    assert said["highwayman.probabilities"][place] == said["highwayman.propensity"]
    assert sum(said["highwayman.probabilities"]) == pytest.approx(1.0)


async def test_a_call_tells_models_tokens_provider_and_the_answers_id(traced: tuple[Collected, dict[str, Any]]) -> None:
    collected, told = traced
    (said,) = (attributes(span) for name, span in collected.spans_of(TRACE).items() if name.startswith("chat "))
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == said["gen_ai.response.model"] == f"{said['highwayman.arm']}-upstream"
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (9, 2)
    assert said["gen_ai.response.id"] == f"chatcmpl-{told['answered']}"
    assert said["server.address"] == "127.0.0.1"
    assert said["highwayman.cost_usd"] > 0


async def test_what_was_said_of_an_answer_is_an_event_under_its_span(traced: tuple[Collected, dict[str, Any]]) -> None:
    collected, told = traced
    (call,) = (span for name, span in collected.spans_of(TRACE).items() if name.startswith("chat "))
    thumb, comment = collected.events
    said = attributes(thumb)
    assert thumb.event_name == "gen_ai.evaluation.result"
    assert (said["gen_ai.evaluation.name"], said["gen_ai.evaluation.score.value"]) == ("thumbs", 1.0)
    assert said["gen_ai.response.id"] == f"chatcmpl-{told['answered']}"
    assert (thumb.trace_id.hex(), thumb.span_id) == (TRACE, call.span_id)
    assert attributes(comment)["gen_ai.evaluation.name"] == "comment"


async def test_failures_are_errors_with_every_attempt_and_refusals_have_no_call(
    traced: tuple[Collected, dict[str, Any]],
) -> None:
    failed, refused = (traced[0].spans_of(trace) for trace in (FAILED, REFUSED))
    (call,) = (span for name, span in failed.items() if name.startswith("chat "))
    said = attributes(call)
    assert said["error.type"] == "failed"
    assert len(said["highwayman.attempts"]) == 2
    assert call.status.code == failed[f"POST {CHAT}"].status.code == 2
    assert refused.keys() == {f"POST {CHAT}"}
    assert attributes(refused[f"POST {CHAT}"])["http.response.status_code"] == 404


async def test_no_prompt_answer_or_comment_is_in_what_is_traced(traced: tuple[Collected, dict[str, Any]]) -> None:
    assert traced[0].raw
    assert SECRET.encode() not in traced[0].raw
