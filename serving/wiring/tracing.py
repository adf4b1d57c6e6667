"""What counts requests, and traces them where that is configured: without it, nothing of OpenTelemetry is imported."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from highwayman import __version__
from highwayman.env.errors import ConfigError
from highwayman.env.pool.eligibility import Pool
from highwayman.env.types import Arm, Decision, Feedback, Outcome
from highwayman.serving.metrics import Metrics
from highwayman.serving.wiring.settings import Settings

if TYPE_CHECKING:
    from highwayman.serving.telemetry.tracing import RequestTracer

_NAME = "highwayman"


class TracedMetrics(Metrics):
    """Counts, and tells a tracer of all that it counts of requests and feedback."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        """Take the arms of the pool as it is at the start."""
        super().__init__()
        self.arms: Mapping[str, Arm] = {arm.name: arm for arm in arms}
        self.pool: Pool | None = None  # whose arms change while the router runs, once there is one
        self.tracer: RequestTracer  # set when it is made

    def known_arms(self) -> Mapping[str, Arm]:
        """Return the pool's arms as they are now."""
        return self.arms if self.pool is None else self.pool.arms

    def on_decision(self, decision: Decision, seconds: float) -> None:
        """Count one decision, and trace it."""
        super().on_decision(decision, seconds)
        self.tracer.on_decision(decision, seconds)

    def on_outcome(self, decision: Decision, outcome: Outcome) -> None:
        """Count one finished request, and trace it."""
        super().on_outcome(decision, outcome)
        self.tracer.on_outcome(outcome)

    def on_filed(self, shares: Sequence[Feedback]) -> None:
        """Note what was said of answers, and trace it."""
        super().on_filed(shares)
        self.tracer.on_filed(shares)


def build_metrics(stack: AsyncExitStack, settings: Settings) -> Metrics:
    """Return what counts, and traces if that is wanted. Raises ConfigError where OpenTelemetry is not installed."""
    if not settings.config.telemetry.traces:
        return Metrics()
    try:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        from highwayman.serving.telemetry.tracing import RequestTracer  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"telemetry.traces: OpenTelemetry is not installed ({error}); pip install 'highwayman[otel]'"
        ) from error
    resource = Resource.create({"service.version": __version__, **_service_name()})
    tracers, loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    stack.push_async_callback(asyncio.to_thread, loggers.shutdown)
    stack.push_async_callback(asyncio.to_thread, tracers.shutdown)
    metrics = TracedMetrics(settings.arms)
    metrics.tracer = RequestTracer(
        tracers.get_tracer(_NAME, __version__), loggers.get_logger(_NAME, __version__), metrics.known_arms
    )
    return metrics


def _service_name() -> dict[str, str]:
    return {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": _NAME}
