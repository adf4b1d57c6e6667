import sys
from contextlib import AsyncExitStack

import pytest

from highwayman.env.errors import ConfigError
from highwayman.serving.config.config import Config
from highwayman.serving.metrics import Metrics
from highwayman.serving.wiring.settings import Settings
from highwayman.serving.wiring.tracing import TracedMetrics, build_metrics
from tests.serving.running_router import arm


def settings(*, traces: bool) -> Settings:
    return Settings((arm("a", "http://x"),), "", Config.model_validate({"telemetry": {"traces": traces}}))


async def test_without_traces_requests_are_counted_by_what_counts_and_nothing_else() -> None:
    async with AsyncExitStack() as stack:
        assert type(build_metrics(stack, settings(traces=False))) is Metrics
        assert type(build_metrics(stack, settings(traces=True))) is TracedMetrics


async def test_traces_without_opentelemetry_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError, match=r"telemetry.traces: .*pip install 'highwayman\[otel\]'"):
            build_metrics(stack, settings(traces=True))
