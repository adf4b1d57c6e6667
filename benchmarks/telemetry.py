"""What it takes to count a request, to trace it, and to write what a scrape is told.

    python -m benchmarks.telemetry [--rounds 10]

Microseconds of CPU for one request of a pool of eight arms, the least of so many rounds of 500: counting decision and
outcome; a trace of it in full, and of one request in ten, with the encoding that an exporter does beside it. Then the
milliseconds of a scrape. To be held against the CPU of a whole request (`python -m benchmarks compare`), measured on
the same machine at the same time.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import numpy as np
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from highwayman.env.types import Arm, Attempt, Context, Decision, Outcome, Status
from highwayman.serving.metrics import Metrics
from highwayman.serving.telemetry.tracing import RequestTracer

_REQUESTS, _ARMS, _FEATURES = 500, 8, 64
_NAMES = tuple(f"arm{k}" for k in range(_ARMS))
_DECISION = Decision(
    "hw-x", "default", 0.0, Context(np.ones(_FEATURES), "f", 10), _NAMES, np.zeros(_ARMS),
    np.full(_ARMS, 1 / _ARMS), 0, 1 / _ARMS, "HierTS", 1, "auto",
)  # fmt: skip
_TRIED = (Attempt(_NAMES[0], "http://127.0.0.1:80", 0.01, "answered"),)
_OUTCOME = Outcome("hw-x", 0.0, _NAMES[0], Status.OK, 10, 10, 10, 1e-3, 0.01, 0.02, "stop", 1, _TRIED)


class _Encoding(SpanExporter):
    """Encodes spans as the one over HTTP does, and sends them nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    metrics = Metrics()
    metrics.start_at_zero(Arm(name, (), name, 1.0, 1.0, 4096) for name in _NAMES)

    async def counted() -> None:
        metrics.on_decision(_DECISION, 7e-4)
        metrics.on_outcome(_DECISION, _OUTCOME)

    print(f"counted:            {least_us(counted, rounds):6.1f} us")
    for name, sampler in (("traced in full:", ALWAYS_ON), ("traced, 1 in 10:", ParentBased(TraceIdRatioBased(0.1)))):
        print(f"{name:<20}{traced_us(sampler, rounds):6.1f} us")
    began = time.process_time()
    for _ in range(rounds):
        text = metrics.exposition()
    print(f"a scrape:           {1e3 * (time.process_time() - began) / rounds:6.1f} ms, {len(text) / 1e3:.0f} kB")


def traced_us(sampler: Sampler, rounds: int) -> float:
    """Return what a request's trace takes."""
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(BatchSpanProcessor(_Encoding()))
    arms = {name: Arm(name, ("http://x",), "m", 1.0, 1.0, 4096) for name in _NAMES}
    tracer = RequestTracer(provider.get_tracer("x"), LoggerProvider().get_logger("x"), lambda: arms)

    async def answer(running: Any, scope: Any, receive: Any, send: Callable[..., Awaitable[None]]) -> None:
        tracer.on_decision(_DECISION, 7e-4)
        tracer.call_headers()
        tracer.on_outcome(_OUTCOME)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def nowhere(message: MutableMapping[str, Any]) -> None:
        pass

    traced = tracer.wrapping(answer)
    scope = {"method": "POST", "path": "/v1/chat/completions", "headers": []}
    return least_us(lambda: traced(None, scope, None, nowhere), rounds, after=provider.force_flush)


def least_us(
    request: Callable[[], Awaitable[None]], rounds: int, *, after: Callable[[], object] = lambda: None
) -> float:
    """Return the least microseconds of CPU for a request over so many rounds, with what is done after each."""

    async def measure() -> float:
        began = time.process_time()
        for _ in range(_REQUESTS):
            await asyncio.ensure_future(request())  # a task for each, as in the router
        after()
        return 1e6 * (time.process_time() - began) / _REQUESTS

    return min(asyncio.run(measure()) for _ in range(rounds))


if __name__ == "__main__":
    main()
