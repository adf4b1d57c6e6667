"""The part of the configuration that says which policy decides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from highwayman.bandit.loading import policy_name, policy_path
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.encoder.features.groups import kept_features
from highwayman.env.encoder.features.tags import TagColumns
from highwayman.env.errors import ConfigError
from highwayman.env.pool.yaml_lines import read_yaml
from highwayman.env.types import Floats
from highwayman.serving.config.strict import Strict

RULES = "Rules"  # the policy of an operator's own rules


def _known_policy(name: str) -> str:
    """Return the name the policy is known by. Raises ValueError for a class name that is not shipped."""
    if ":" not in name:
        try:
            policy_path(name)
        except ConfigError as error:
            raise ValueError(str(error)) from None
    return policy_name(name)


def _rules_in(path: Path) -> dict[str, Any]:
    """Return the options in a file of rules. Raises ValueError."""
    try:
        data = read_yaml(path).data
    except ConfigError as error:
        raise ValueError(f"rules: {error}") from None
    if not isinstance(data, dict) or not {"rules", "otherwise"} & data.keys():
        raise ValueError(f"rules: {path}: must have rules, and may have otherwise and tags")
    return data


class PolicyConfig(Strict):
    """Which policy decides, by its class name (its import path, where it is not a shipped one), and its options."""

    name: Annotated[str, AfterValidator(_known_policy)] = Field(
        default="HierTS",
        description="Its class name (`highwayman policies` lists them), or a class of yours as `module:Class`.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="What the class takes (`highwayman policies NAME`)."
    )
    rules: Annotated[str | None, Field(description="a file with the options of `Rules`; read at once")] = None
    prior: str | None = Field(default=None, description="A file that `highwayman prior fit` wrote.")
    ignores: list[str] = Field(
        default_factory=list,
        description=(
            "Features that it does not see: `text`, `kinds`, `numbers`, `images`, `tags`, or one tag as `tags.NAME`."
        ),
    )
    false_alarm_every: Annotated[float, Field(gt=10)] | None = Field(
        default=100_000.0,
        description=(
            "An arm that has not changed is taken for changed once in so many answers of its own; null: nobody watches."
        ),
    )
    learns_from_named_calls: bool = Field(
        default=False,
        description=(
            "Whether answers of arms that a caller named, and of the judge's shadow calls, teach, told apart by a tag."
        ),
    )
    floor: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.02, description="Share of the traffic that is spread over the eligible arms."
    )
    floor_loss: Annotated[float, Field(ge=0)] | None = Field(
        default=FLOOR_LOSS,
        description=(
            "Expected quality minus penalty that the floor may lose a request; null, or not given where `floor` is: it"
            " is spread evenly, whatever is lost."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _read_rules(cls, given: Any) -> Any:
        """Return what is given with the rules of the file among the options: what is announced needs no file then."""
        file = given.get("rules") if isinstance(given, Mapping) else None
        if not isinstance(file, str):
            return given
        if given.get("name") != RULES:
            raise ValueError(f"rules: is a file of the policy {RULES}, not of {given.get('name', 'the default one')}")
        return {**given, "rules": None, "options": {**given.get("options", {}), **_rules_in(Path(file))}}

    @model_validator(mode="before")
    @classmethod
    def _keep_old_floors_even(cls, given: Any) -> Any:
        is_old = isinstance(given, Mapping) and "floor" in given and "floor_loss" not in given
        return {**given, "floor_loss": None} if is_old else given

    def kept_features(self, names: Sequence[str], columns: TagColumns) -> Floats | None:
        """Return 1 for each of the encoder's features that the policy sees, else 0, (d,); None: it sees all of them.

        Raises ConfigError for one that is ignored, and is not there.
        """
        try:
            return kept_features(self.ignores, names, columns) if self.ignores else None
        except ValueError as error:
            raise ConfigError(f"policy.ignores: {error}") from None
