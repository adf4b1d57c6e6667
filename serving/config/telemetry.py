"""What is told of requests beside the log: traces."""

from pydantic import Field

from highwayman.serving.config.strict import Strict


class TelemetryConfig(Strict):
    """Where it goes is said by OpenTelemetry's own environment variables, such as OTEL_EXPORTER_OTLP_ENDPOINT."""

    traces: bool = Field(default=False, description="whether requests and feedback are traced (highwayman[otel])")
