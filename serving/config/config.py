"""The router's configuration: one YAML file, every key with a default, strict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

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
from highwayman.serving.config.resources.engines import EncoderConfig, ImagesConfig
from highwayman.serving.config.resources.limits import LimitsConfig, RetentionConfig
from highwayman.serving.config.resources.spending import BudgetConfig, ExplorationConfig, TrialConfig
from highwayman.serving.config.shadow import ShadowConfig
from highwayman.serving.config.strict import Strict
from highwayman.serving.config.telemetry import TelemetryConfig
from highwayman.serving.config.tenants import TenantConfig
from highwayman.serving.config.tournament import TournamentConfig
from highwayman.serving.telemetry.json_logs import LogFormat

_NULL = "tag:yaml.org,2002:null"


def _possible_namespace(name: str) -> str:
    """Return the namespace. Raises ValueError for one that no keys can have."""
    Keys(name)
    return name


class Config(Strict):
    """Everything but the pool, which has a file of its own."""

    namespace: Annotated[str, AfterValidator(_possible_namespace)] = Field(
        default="default",
        description="What the names of all keys in Redis begin with: routers of one namespace share log and learning.",
    )
    encoder: EncoderConfig = EncoderConfig()
    images: ImagesConfig | None = Field(default=None, description="Null: no image is looked at.")
    policy: PolicyConfig = PolicyConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    budget: BudgetConfig = BudgetConfig()
    exploration: ExplorationConfig = ExplorationConfig()
    trial: TrialConfig = TrialConfig()
    shadow: ShadowConfig = ShadowConfig()
    control: ControlConfig | None = Field(default=None, description="Null: no share of the requests is set aside.")
    tournament: TournamentConfig = TournamentConfig()
    limits: LimitsConfig = LimitsConfig()
    admin: AdminConfig | None = Field(default=None, description="Null: the operator's routes are on the one port.")
    cors: CorsConfig = CorsConfig()
    reload: Literal["when_told", "on_change"] = Field(
        default="when_told", description="whether files are read again when they change, or when somebody says so"
    )
    allowed_hosts: list[HostName] = Field(
        default_factory=list, description="names a router without keys is called by, beside this machine's own"
    )
    retention: RetentionConfig = RetentionConfig()
    log_format: LogFormat = Field(default="text", description="of what goes to standard error")
    telemetry: TelemetryConfig = TelemetryConfig()
    tenants: dict[str, TenantConfig] = Field(
        default_factory=dict, description="by name, what a tenant may take; `*` stands for each that is not named"
    )
    privacy: PrivacyConfig | None = Field(default=None, description="Null: every arm may have everything.")
    feedback: FeedbackConfig = FeedbackConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    answer_cache: AnswerCacheConfig | None = Field(default=None, description="Null: no answer is given again.")
    cascade: CascadeConfig | None = Field(default=None, description="Null: every answer is passed on as it comes.")
    context: dict[str, TagConfig] = Field(
        default_factory=dict, description="tags, by name: what callers tell of a request"
    )
    # Older configurations say what the pool's dearest arm must be better by than its cheapest, in quality units.
    cost_weights: dict[Alias, Points] = Field(
        default_factory=dict, description="older than objective.points_per_usd; read on, with a warning"
    )
    latency_weight: Points = Field(
        default=0.0, description="Older than `objective.points_per_s`; read on, with a warning."
    )
    energy_weight: Points = Field(
        default=0.0, description="Older than `objective.points_per_wh`; read on, with a warning."
    )

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
