"""The part of the configuration that says what feedback is accepted, from whom, and how much it counts."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from highwayman.env.metric import Metric, MetricKind
from highwayman.env.reward import RewardSpec, reward_spec
from highwayman.feedback.calibration.calibrator import CalibrationSettings
from highwayman.feedback.integrations.adapter import FeedbackAdapter
from highwayman.feedback.integrations.loading import load_adapter
from highwayman.feedback.judge.settings import DEFAULT_RUBRIC, JudgeSettings
from highwayman.feedback.trust.anomaly_detector import AnomalyThresholds
from highwayman.feedback.trust.influence_caps import InfluenceCaps
from highwayman.serving.config.strict import Strict
from highwayman.serving.http.client_ids import ClientIdSources

_OPEN = ("Langfuse", "OpenWebUI", "TensorZero", "OpenAIMetadata", "Dify")


class MetricConfig(Strict):
    """A kind of statement."""

    kind: Literal["boolean", "float", "choice", "comment", "demonstration", "preference"] = Field(
        default="float",
        description=(
            "What is said: yes or no, a number, one of some choices, text, a better answer, or which of two is better."
        ),
    )
    low: float = Field(default=0.0, description="The least number.")
    high: float = Field(default=1.0, description="The greatest number.")
    direction: Literal["higher", "lower"] = Field(default="higher", description="Which is better.")
    choices: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, description="The quality of each choice, in [0, 1]."
    )
    weight: Annotated[float, Field(ge=0)] = Field(
        default=1.0,
        description="What it counts beside a thumb, which counts 1; 0: it is kept, and no part of the reward.",
    )
    corrected: bool = Field(
        default=False, description="Whether thumbs on the same answers say what it is worth, once there are some."
    )
    weak: bool = Field(default=False, description="Corrected, and worth nothing before that.")
    window_s: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Seconds after the decision for which it counts; null: `limits.feedback_window_s`."
    )
    senders: list[str] = Field(
        default_factory=list,
        description=(
            "Who may say it: `user`, `tool`, `grader`, `judge`, `implicit`, or an adapter's source; empty: everybody."
        ),
    )

    @model_validator(mode="after")
    def _whole(self) -> "MetricConfig":
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low must be < high, got {self.low:g} and {self.high:g}")
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("choices belong to kind choice, which needs them: {name: quality in [0, 1]}")
        return self

    def metric(self, name: str) -> Metric:
        """Return it as rewards take it."""
        return Metric(
            name,
            MetricKind(self.kind),
            low=self.low,
            high=self.high,
            higher_is_better=self.direction == "higher",
            choices=self.choices,
            weight=self.weight,
            corrected=self.corrected,
            weak=self.weak,
            window_s=self.window_s,
            senders=frozenset(self.senders),
        )


class NamesConfig(Strict):
    """Where clients put ids of their own, under which feedback may speak of an answer or a conversation."""

    request_headers: list[str] = Field(
        default_factory=lambda: ["x-request-id", "x-openwebui-message-id", "x-message-id", "traceparent"],
        description="Headers in which a request's own id may stand.",
    )
    request_metadata: list[str] = Field(
        default_factory=lambda: [
            *("request_id", "trace_id", "langfuse_trace_id", "message_id"),
            *("observation_id", "langfuse_observation_id"),
        ],
        description="Keys of the body's `metadata` in which it may stand.",
    )
    conversation_headers: list[str] = Field(
        default_factory=lambda: [
            *("x-conversation-id", "x-openwebui-chat-id", "x-session-id", "x-claude-code-session-id")
        ],
        description="Headers in which a conversation's id may stand.",
    )
    conversation_metadata: list[str] = Field(
        default_factory=lambda: ["conversation_id", "session_id", "langfuse_session_id", "chat_id", "thread_id"],
        description="Keys of the body's `metadata` in which it may stand.",
    )

    def client_id_sources(self) -> ClientIdSources:
        """Return it as requests are read by it."""
        lower = [[name.lower() for name in names] for names in (self.request_headers, self.conversation_headers)]
        return ClientIdSources(lower[0], self.request_metadata, lower[1], self.conversation_metadata)


class InfluenceConfig(Strict):
    """How much of a tenant's latest evidence may come from one key, or one person; null: all of it."""

    key_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share that may come with one key."
    )
    person_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=0.25, description="Share that may come from one person."
    )
    grace: Annotated[float, Field(ge=0)] = Field(
        default=200.0, description="Thumbs that anybody may have counted within a half-life or so."
    )
    half_life_s: Annotated[float, Field(gt=0)] = Field(
        default=24 * 3600.0, description="Seconds in which evidence loses half of its weight in these shares."
    )

    def caps(self) -> InfluenceCaps:
        """Return it as statements are weighed by it."""
        return InfluenceCaps(self.key_share, self.person_share, self.grace, self.half_life_s)


class AlarmConfig(Strict):
    """When a key is put in quarantine by itself."""

    on: bool = Field(default=True, description="Whether anybody watches.")
    burst_floor: Annotated[float, Field(gt=0)] = Field(
        default=60.0, description="Statements a minute that are never a burst."
    )
    burst_factor: Annotated[float, Field(gt=1)] = Field(
        default=10.0, description="Times what is usual of the key that are one."
    )
    burst_young: Annotated[float, Field(gt=0)] = Field(
        default=600.0, description="Statements a minute that are one of a new key that is its tenant's only one."
    )
    tolerance: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.25, description="Quality by which a key may differ from what the tenant's other keys say of an arm."
    )

    def thresholds(self) -> AnomalyThresholds | None:
        """Return it as the alarm takes it, None where there is none."""
        if not self.on:
            return None
        return AnomalyThresholds(self.burst_floor, self.burst_factor, self.burst_young, self.tolerance)


class JudgeConfig(Strict):
    """A model of the pool that grades answers; without arms, none does."""

    arms: list[str] = Field(
        default_factory=list, description="Who judges: the first that is not the model that answered."
    )
    rate: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.05, description="Share of an arm's answers that are judged."
    )
    rates: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, description="Shares of arms that have their own, by name."
    )
    usd_per_day: Annotated[float, Field(ge=0)] | None = Field(
        default=1.0, description="Dollars that judging may cost a day of UTC, in all processes; null: no end."
    )
    pairwise: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Share of the cases that are compared with another arm's answer."
    )
    rubric: str = Field(default=DEFAULT_RUBRIC, description="What the judge is told of how to grade.")
    low: Annotated[int, Field(ge=0, le=8)] = Field(default=1, description="The worst grade.")
    high: Annotated[int, Field(ge=1, le=9)] = Field(default=5, description="The best grade.")
    style: Literal["json", "digit"] = Field(
        default="json", description="Whether the judge answers with JSON, or with one digit."
    )
    timeout_s: Annotated[float, Field(gt=0)] = Field(default=60.0, description="Seconds that a judgement may take.")
    on_suspect: Literal["missing", "judge"] = Field(
        default="missing",
        description="What becomes of an answer that speaks to its judge: none, or the judgement all the same.",
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Further keys of the body for the judge's server, such as to think less."
    )

    @model_validator(mode="after")
    def _whole(self) -> "JudgeConfig":
        self.settings()
        return self

    def settings(self) -> JudgeSettings:
        """Return it as the judge takes it. Raises ValueError for settings that make no sense."""
        return JudgeSettings(
            rate=self.rate,
            rates=self.rates,
            usd_per_day=self.usd_per_day,
            timeout_s=self.timeout_s,
            style=self.style,
            rubric=self.rubric,
            low=self.low,
            high=self.high,
            on_suspect=self.on_suspect,
            extra_body=self.extra_body,
        )


class CalibrationConfig(Strict):
    """How thumbs correct weaker sources, and each other."""

    flip_rate: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        default=0.05, description="Share of thumbs taken for mistaken, until enough answers have two."
    )
    clip: Annotated[float, Field(ge=1)] = Field(
        default=5.0, description="The largest inverse weight of a thumb; the smallest is its inverse."
    )
    uncorrected_weight: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.25, description="What a judge's score counts while there are no thumbs."
    )

    def settings(self) -> CalibrationSettings:
        """Return it as statements are corrected by it."""
        return CalibrationSettings(self.flip_rate, self.clip, self.uncorrected_weight)


class FeedbackConfig(Strict):
    """What feedback is accepted, and what is made of it."""

    metrics: dict[str, MetricConfig] = Field(
        default_factory=dict, description="Kinds of statements, by name, beside the default ones or instead of them."
    )
    doors: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict,
        description=(
            "Other products' feedback, by name or import path, each with its options; null closes one that is open by "
            "itself."
        ),
    )
    names: NamesConfig = NamesConfig()
    implicit: list[Literal["regenerated", "rephrased", "abandoned", "tool_failure"]] = Field(
        default_factory=list, description="signals that are listened for"
    )
    judge: JudgeConfig = JudgeConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    hold_s: Annotated[float, Field(ge=1)] = Field(
        default=3600.0, description="Seconds for which feedback waits for its decision."
    )
    vote_url: str | None = Field(
        default=None, description="This router's address as browsers reach it: answers then carry a link for one vote."
    )
    influence: InfluenceConfig = InfluenceConfig()
    alarm: AlarmConfig = AlarmConfig()
    posts_per_s: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Posts a second of each key; null: as many as come."
    )

    def spec(self) -> RewardSpec:
        """Return the declared metrics."""
        return reward_spec([metric.metric(name) for name, metric in self.metrics.items()])

    def adapters(self) -> list[FeedbackAdapter]:
        """Return the feedback adapters. Raises ConfigError for one that cannot be made."""
        options_by_adapter: dict[str, dict[str, Any] | None] = {**{name: {} for name in _OPEN}, **self.doors}
        return [load_adapter(name, options) for name, options in options_by_adapter.items() if options is not None]
