"""Sizes and times, and what is kept for how long, in `highwayman.yaml`."""

from typing import Annotated, Literal

from pydantic import Field

from highwayman.serving.config.strict import Strict
from highwayman.serving.http.protocol import ConnectionTimeouts
from highwayman.serving.http.validation import BodyLimits


class LimitsConfig(Strict):
    """Sizes and times."""

    body_bytes: Annotated[int, Field(ge=1024)] = Field(default=16 * 2**20, description="Bytes of a request's body.")
    body_values: Annotated[int, Field(ge=1024)] = Field(
        default=500_000, description="Values and keys in a body's JSON."
    )
    messages: Annotated[int, Field(ge=1)] = Field(default=10_000, description="Messages of a conversation.")
    head_s: Annotated[float, Field(gt=0)] = Field(
        default=10.0, description="Seconds for a request's address and headers to come."
    )
    body_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="Seconds for a request's body to come, and one more for each 16 kB of it."
    )
    idle_s: Annotated[float, Field(gt=0)] = Field(
        default=60.0, description="Seconds that a connection may wait for its next request."
    )
    connect_s: Annotated[float, Field(gt=0)] = Field(
        default=2.0, description="Seconds for a connection to an arm's server."
    )
    first_byte_s: Annotated[float, Field(gt=0)] = Field(
        default=120.0, description="Seconds for an arm's server to begin its answer."
    )
    silence_s: Annotated[float, Field(gt=0)] = Field(
        default=120.0, description="Seconds for which an answer that has begun may pause."
    )
    replica_load_s: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="Seconds between two readings of a replica's load; 0: none is read."
    )
    drain_s: Annotated[float, Field(ge=0)] = Field(
        default=60.0, description="Seconds from being told to end to cutting the answers under way."
    )
    all_attempts_s: Annotated[float, Field(gt=0)] = Field(
        default=300.0, description="Seconds until somebody answers a request, whoever was tried."
    )
    redis_s: Annotated[float, Field(gt=0)] = Field(
        default=0.05, description="Seconds for a write to Redis; one that takes longer goes to the spool."
    )
    outcome_s: Annotated[float, Field(ge=1)] = Field(
        default=900.0, description="Seconds after which a call without an outcome is given up as lost."
    )
    spool_bytes: Annotated[int, Field(ge=4096)] = Field(
        default=256 * 2**20, description="Bytes that the spool on this machine may hold for Redis."
    )
    feedback_window_s: Annotated[int, Field(ge=60)] = Field(
        default=7 * 24 * 3600, description="Seconds for which feedback on a decision counts."
    )
    without_redis: Literal["pass", "refuse"] = Field(
        default="pass", description="Requests of those that have limits, while nobody can count them."
    )

    def connection_timeouts(self) -> ConnectionTimeouts:
        """Return how long a connection may take."""
        return ConnectionTimeouts(self.head_s, self.body_s)

    def body_limits(self) -> BodyLimits:
        """Return how much a body may hold, beside its bytes."""
        return BodyLimits(self.body_values, self.messages)


class RetentionConfig(Strict):
    """What is stored, and for how long."""

    log_s: Annotated[int, Field(ge=60)] | None = Field(
        default=30 * 24 * 3600,
        description="Seconds for which events, with the features of requests, stay on the log; null: for ever.",
    )
    export_first: bool = Field(
        default=False, description="Whether nothing leaves the log before `highwayman export` has it."
    )
    version_every_s: Annotated[float, Field(ge=0)] = Field(
        default=60.0, description="A version is kept for a rollback at most once in so many seconds."
    )
    prompts: bool = Field(default=False, description="Whether decisions on the log carry the newest message.")
