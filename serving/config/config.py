"""The router's configuration: one YAML file, every key with a default, strict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.loading import policy_name, policy_path
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.budget import SpendLimits
from highwayman.env.cost.objective import ALIASES, Objective
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.serving.config.access import CorsConfig, HostName
from highwayman.serving.config.conversations import ConversationsConfig
from highwayman.serving.config.feedback import FeedbackConfig
from highwayman.serving.config.strict import Strict
from highwayman.serving.http.protocol import ConnectionTimeouts
from highwayman.serving.http.validation import BodyLimits


class EncoderConfig(Strict):
    """Which engine turns prompts into features."""

    engine: str = "static"  # static | onnx | transformers | module:Class
    model: str | None = None  # of the transformers engine: an id or a folder
    device: str | None = None
    dtype: str | None = None
    deadline_s: Annotated[float, Field(gt=0)] = 0.25


def _known_policy(name: str) -> str:
    """Return the name the policy is known by. Raises ValueError for a class name that is not shipped."""
    if ":" not in name:
        try:
            policy_path(name)
        except ConfigError as error:
            raise ValueError(str(error)) from None
    return policy_name(name)


class PolicyConfig(Strict):
    """Which policy decides, by its class name (its import path, where it is not a shipped one), and its options."""

    name: Annotated[str, AfterValidator(_known_policy)] = "HierTS"
    options: dict[str, Any] = Field(default_factory=dict)
    prior: str | None = None  # a file that `highwayman prior fit` wrote
    # An arm that has not changed is taken for changed once in so many answers of its own; null: nobody watches.
    false_alarm_every: Annotated[float, Field(gt=10)] | None = 100_000.0
    floor: Annotated[float, Field(ge=0, le=1)] = 0.02  # share of traffic spread evenly over the eligible arms


class BudgetConfig(Strict):
    """What may be spent; null: as much as it takes."""

    usd_per_request: Annotated[float, Field(gt=0)] | None = None  # on average
    usd_per_day: Annotated[float, Field(gt=0)] | None = None  # days of UTC
    hard: bool = False  # whether arms that would take the day above it are barred, be none left

    def limits(self) -> SpendLimits:
        """Return it as the budget takes it."""
        return SpendLimits(self.usd_per_request, self.usd_per_day, self.hard)


class ExplorationConfig(Strict):
    """What trying arms out may cost; null: what it does."""

    usd_per_day: Annotated[float, Field(ge=0)] | None = None  # expected, beyond the greedy arm's; days of UTC
    regret_per_request: Annotated[float, Field(ge=0)] | None = None  # expected, in quality units, on average

    def cap(self) -> ExplorationCap | None:
        """Return it as decisions take it, None where nothing is capped."""
        if self.usd_per_day is None and self.regret_per_request is None:
            return None
        return ExplorationCap(usd_per_day=self.usd_per_day, regret_per_request=self.regret_per_request)


class TrialConfig(Strict):
    """What arms on probation get, whatever the policy thinks of them."""

    share: Annotated[float, Field(ge=0, lt=1)] = 0.02  # of the requests they may answer, all of them together
    max_usd: Annotated[float, Field(ge=0)] | None = 10.0  # that an arm may cost for it; null: no end

    def quota(self) -> ProbationQuota:
        """Return it as decisions take it."""
        return ProbationQuota(self.share, self.max_usd)


class LimitsConfig(Strict):
    """Sizes and times."""

    body_bytes: Annotated[int, Field(ge=1024)] = 16 * 2**20
    body_values: Annotated[int, Field(ge=1024)] = 500_000  # values and keys in a body's JSON
    messages: Annotated[int, Field(ge=1)] = 10_000  # of a conversation
    head_s: Annotated[float, Field(gt=0)] = 10.0  # for a request's address and headers
    body_s: Annotated[float, Field(gt=0)] = 30.0  # for a request's body, and a second more for each 16 kB of it
    idle_s: Annotated[float, Field(gt=0)] = 60.0  # a connection may wait for its next request
    connect_s: Annotated[float, Field(gt=0)] = 2.0
    first_byte_s: Annotated[float, Field(gt=0)] = 120.0
    silence_s: Annotated[float, Field(gt=0)] = 120.0
    replica_load_s: Annotated[float, Field(ge=0)] = 1.0  # between two readings of a replica's load; 0: none is read
    drain_s: Annotated[float, Field(ge=0)] = 60.0  # from being told to end to cutting the answers under way
    all_attempts_s: Annotated[float, Field(gt=0)] = 300.0  # until somebody answers a request, whoever was tried
    redis_s: Annotated[float, Field(gt=0)] = 0.05  # a write that takes longer goes to the spool
    outcome_s: Annotated[float, Field(ge=1)] = 900.0  # a call without an outcome is given up as lost after this
    spool_bytes: Annotated[int, Field(ge=4096)] = 256 * 2**20
    feedback_window_s: Annotated[int, Field(ge=60)] = 7 * 24 * 3600

    def connection_timeouts(self) -> ConnectionTimeouts:
        """Return how long a connection may take."""
        return ConnectionTimeouts(self.head_s, self.body_s)

    def body_limits(self) -> BodyLimits:
        """Return how much a body may hold, beside its bytes."""
        return BodyLimits(self.body_values, self.messages)


class RetentionConfig(Strict):
    """What is stored, and for how long."""

    log_s: Annotated[int, Field(ge=60)] | None = 30 * 24 * 3600  # contexts and all else on the log; null: for ever
    export_first: bool = False  # nothing leaves the log before `highwayman export` has it
    version_every_s: Annotated[float, Field(ge=0)] = 60.0  # a version is kept for a rollback at most this often
    prompts: bool = False  # whether decisions carry the newest message


class Config(Strict):
    """Everything but the pool, which has a file of its own."""

    namespace: str = "default"
    encoder: EncoderConfig = EncoderConfig()
    policy: PolicyConfig = PolicyConfig()
    budget: BudgetConfig = BudgetConfig()
    exploration: ExplorationConfig = ExplorationConfig()
    trial: TrialConfig = TrialConfig()
    limits: LimitsConfig = LimitsConfig()
    cors: CorsConfig = CorsConfig()
    allowed_hosts: list[HostName] = Field(
        default_factory=list, description="names a router without keys is called by, beside this machine's own"
    )
    retention: RetentionConfig = RetentionConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    cost_weights: dict[Literal["auto", "auto-cheap", "auto-quality"], Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="instead of the defaults, 0.15, 0.5 and 0"
    )

    latency_weight: Annotated[float, Field(ge=0)] = 0.0  # the slowest arm must be so much better than the fastest
    energy_weight: Annotated[float, Field(ge=0)] = 0.0  # and so the one that takes most energy

    def objectives(self) -> dict[str, Objective]:
        """Return the objective of each alias."""
        weights = {name: objective.cost_weight for name, objective in ALIASES.items()} | {**self.cost_weights}
        return {
            name: Objective(name, weight, self.latency_weight, self.energy_weight) for name, weight in weights.items()
        }


def load_config(path: Path | None) -> Config:
    """Return the configuration in the YAML file `path`, the defaults without one. Raises ConfigError."""
    if path is None:
        return Config()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path.name}: {error}") from error
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise ConfigError("\n".join(f"{path.name}: {_format_problem(problem)}" for problem in problems)) from None


def _format_problem(problem: Mapping[str, Any]) -> str:
    *parents, last = [str(part) for part in problem["loc"]] or ["file"]
    if problem["type"] != "extra_forbidden":
        return f"{'.'.join([*parents, last])}: {problem['msg'].removeprefix('Value error, ')}"
    return f"unknown key {'.'.join([*parents, last])!r}{did_you_mean(last, _keys(parents))}"


def _keys(parents: list[str]) -> list[str]:
    """Return the keys that may stand under `parents`."""
    kind: Any = Config
    for name in parents:
        field = kind.model_fields.get(name)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        kind = field.annotation
    return list(kind.model_fields)
