"""The router's configuration: one YAML file, every key with a default, strict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.budget import SpendLimits
from highwayman.env.cost.objective import ALIAS_WEIGHTS, AUTO, Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.encoder.features.tags import IMAGES, NAMED_CALL, Tag, TagColumns
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.feedback.log.store import Keys
from highwayman.serving.config.access import AdminConfig, CorsConfig, HostName
from highwayman.serving.config.answer_cache import AnswerCacheConfig
from highwayman.serving.config.cascade import CascadeConfig
from highwayman.serving.config.context import TagConfig, TagSource
from highwayman.serving.config.control import ControlConfig
from highwayman.serving.config.conversations import ConversationsConfig
from highwayman.serving.config.feedback import FeedbackConfig
from highwayman.serving.config.objective import Alias, ObjectiveConfig, Points
from highwayman.serving.config.policy import PolicyConfig
from highwayman.serving.config.privacy import PrivacyConfig
from highwayman.serving.config.shadow import ShadowConfig
from highwayman.serving.config.strict import Strict
from highwayman.serving.config.tenants import TenantConfig
from highwayman.serving.config.tournament import TournamentConfig
from highwayman.serving.http.protocol import ConnectionTimeouts
from highwayman.serving.http.validation import BodyLimits

_NULL = "tag:yaml.org,2002:null"


class EncoderConfig(Strict):
    """Which engine turns prompts into features."""

    engine: str = "static"  # static | onnx | transformers | module:Class
    model: str | None = None  # of the transformers engine: an id or a folder
    device: str | None = None
    dtype: str | None = None
    deadline_s: Annotated[float, Field(gt=0)] = 0.25


class ImagesConfig(Strict):
    """Which engine looks at a request's images."""

    engine: str = "pixels"  # pixels | transformers | module:Class
    model: str | None = None  # of the transformers engine: the folder or id of a vision encoder
    device: str | None = None
    dtype: str | None = None

    def options(self) -> dict[str, str]:
        """Return what is given, as the engine takes it."""
        given = {"model": self.model, "device": self.device, "dtype": self.dtype}
        return {name: value for name, value in given.items() if value is not None}


def _possible_namespace(name: str) -> str:
    """Return the namespace. Raises ValueError for one that no keys can have."""
    Keys(name)
    return name


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
    without_redis: Literal["pass", "refuse"] = "pass"  # requests of those that have limits, while nobody can count

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

    namespace: Annotated[str, AfterValidator(_possible_namespace)] = "default"
    encoder: EncoderConfig = EncoderConfig()
    images: ImagesConfig | None = None  # without it, none is looked at
    policy: PolicyConfig = PolicyConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    budget: BudgetConfig = BudgetConfig()
    exploration: ExplorationConfig = ExplorationConfig()
    trial: TrialConfig = TrialConfig()
    shadow: ShadowConfig = ShadowConfig()
    control: ControlConfig | None = None  # no slice, where nothing is said of it
    tournament: TournamentConfig = TournamentConfig()
    limits: LimitsConfig = LimitsConfig()
    admin: AdminConfig | None = None  # without it, the operator's routes are on the one port
    cors: CorsConfig = CorsConfig()
    reload: Literal["when_told", "on_change"] = Field(
        default="when_told", description="whether files are read again when they change, or when somebody says so"
    )
    allowed_hosts: list[HostName] = Field(
        default_factory=list, description="names a router without keys is called by, beside this machine's own"
    )
    retention: RetentionConfig = RetentionConfig()
    tenants: dict[str, TenantConfig] = Field(
        default_factory=dict, description="by name, what a tenant may take; `*` stands for each that is not named"
    )
    privacy: PrivacyConfig | None = None  # without rules, every arm may have everything
    feedback: FeedbackConfig = FeedbackConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    answer_cache: AnswerCacheConfig | None = None  # without it, no answer is given again
    cascade: CascadeConfig | None = None  # null: every answer is passed on as it comes
    context: dict[str, TagConfig] = Field(
        default_factory=dict, description="tags, by name: what callers tell of a request"
    )
    # Older configurations say what the pool's dearest arm must be better by than its cheapest, in quality units.
    cost_weights: dict[Alias, Points] = Field(
        default_factory=dict, description="older than objective.points_per_usd; read on, with a warning"
    )
    latency_weight: Points = 0.0
    energy_weight: Points = 0.0

    @model_validator(mode="after")
    def _say_it_once(self) -> Self:
        """Raise ValueError where something stands both as points and as an older weight."""
        for alias in self.objective.points_per_usd:
            if alias in self.cost_weights:
                raise ValueError(f"objective.points_per_usd.{alias} and cost_weights.{alias}: give the first alone")
        for unit, weight in (("s", "latency_weight"), ("wh", "energy_weight")):
            if getattr(self.objective, f"points_per_{unit}") and getattr(self, weight):
                raise ValueError(f"objective.points_per_{unit} and {weight}: give the first alone")
        return self

    @model_validator(mode="after")
    def _tags_can_be(self) -> Self:
        """Raise ValueError for tags that no features can be made of."""
        if NAMED_CALL in self.context:
            raise ValueError(f"context: no tag may be called {NAMED_CALL}: policy.learns_from_named_calls declares it")
        if IMAGES in self.context:
            raise ValueError(f"context: no tag may be called {IMAGES}: that is what images look like")
        self.tag_columns()
        return self

    def tag_columns(self) -> TagColumns:
        """Return the columns of the declared tags, of calls whose arm somebody named where those teach, and of how like
        a stored question is where its answer may be given.
        """
        named = [Tag(NAMED_CALL, ("yes",))] if self.policy.learns_from_named_calls else []
        like = [] if self.answer_cache is None else self.answer_cache.tags()
        return TagColumns((*self.declared_tags(), *named, *like))

    def declared_tags(self) -> dict[Tag, TagSource]:
        """Return the declared tags, each with where a request tells it."""
        return {tag.tag(name): tag.place() for name, tag in self.context.items()}

    def objectives(self, spread: PoolSpread) -> dict[str, Objective]:
        """Return the objective of each alias; what is not given in points refers to how far a pool's arms lie apart."""
        weights = dict(ALIAS_WEIGHTS)
        weights.update(self.cost_weights.items())
        per_usd = {alias: _sayable(spread.points_per_usd(weight)) for alias, weight in weights.items()}
        per_usd.update(self.objective.points_per_usd.items())
        per_s = self.objective.points_per_s or _sayable(spread.points_per_s(self.latency_weight))
        per_wh = self.objective.points_per_wh or _sayable(spread.points_per_wh(self.energy_weight))
        return {alias: Objective(alias, points, per_s, per_wh) for alias, points in per_usd.items()}

    def old_weights(self, spread: PoolSpread) -> list[str]:
        """Return for each weight of an older configuration what to write in its place, in words."""
        objectives = self.objectives(spread)
        told = [
            (f"cost_weights.{alias}: {weight:g}", f"points_per_usd.{alias}", objectives[alias].points_per_usd)
            for alias, weight in self.cost_weights.items()
            if spread.usd is not None
        ]
        auto = objectives[AUTO]
        if self.latency_weight:
            told.append((f"latency_weight: {self.latency_weight:g}", "points_per_s", auto.points_per_s))
        if self.energy_weight and spread.wh is not None:
            told.append((f"energy_weight: {self.energy_weight:g}", "points_per_wh", auto.points_per_wh))
        return [f"{old} is read as objective.{new}: {points:g}; write that instead" for old, new, points in told]


def _sayable(points: float) -> float:
    """Return the number to three digits: one that can be said and written down."""
    return float(f"{points:.3g}")


def load_config(path: Path | None) -> Config:
    """Return the configuration in the YAML file `path`, the defaults without one. Raises ConfigError."""
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
        raw, empty = yaml.safe_load(text) or {}, _empty_keys(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path.name}: {error}") from error
    for key in empty:
        if key in Config.model_fields and Config.model_fields[key].default is None:
            raise ConfigError(
                f"{path.name}: {key}: nothing stands under it; write `{key}: {{}}` for its defaults, or `{key}: null` "
                "to do without"
            )
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise ConfigError("\n".join(f"{path.name}: {_format_problem(problem)}" for problem in problems)) from None


def _empty_keys(text: str) -> list[str]:
    """Return the keys at the top under which nothing stands, which YAML reads as null. Raises YAMLError."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    entries = root.value if isinstance(root, yaml.MappingNode) else ()
    return [key.value for key, value in entries if (value.tag, value.value) == (_NULL, "")]


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
        kinds = () if field is None else (get_args(field.annotation) or (field.annotation,))  # one of them: or null
        kind = next((each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), None)
        if kind is None:
            return []
    return list(kind.model_fields)
