"""What routers announce as in force in their namespace, and what commands read of it again."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from highwayman.env.cost.objective import Objective
from highwayman.env.errors import ConfigError
from highwayman.env.pool.schema import VARIABLE
from highwayman.feedback.log.config_events import describe_config
from highwayman.serving.config.config import Config
from highwayman.serving.state.learner_factory import LearnerFactory
from highwayman.serving.state.pool_objectives import objectives_view

_SECRETS: Any = {"feedback": {"doors"}}  # a door may have a signing secret; nothing that is learned depends on doors
_DIGEST: Final = re.compile(r"#[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class AnnouncedConfig:
    """What is in force in a namespace, as its routers have announced it."""

    namespace: str
    lineage: str
    policy: str  # its name
    settings: Mapping[str, Any]
    is_whole: bool  # False: routers of earlier releases announced policy and retention only; the rest is as by default
    pool: Mapping[str, Any] | None = None  # the arms of its pool file, without what operators changed since

    def load(self) -> Config:
        """Return it as configuration. Raises ConfigError for what only another release knows."""
        try:
            return Config.model_validate_json(json.dumps({**self.settings, "namespace": self.namespace}))
        except ValidationError as error:
            raise ConfigError(
                f"the configuration in force in namespace {self.namespace} is another release's "
                f"({error.error_count()} keys cannot be read); use its `highwayman`, or give --config"
            ) from error


def active_config(
    factory: LearnerFactory, objectives: Mapping[str, Objective], entries: Mapping[str, Any] | None = None
) -> str:
    """Return what the log shall say is in force with this router, whose pool file has these arms; None: it has none."""
    config = factory.config
    configuration = {
        "policy": config.policy.model_dump(),
        "encoder": factory.encoder.fingerprint,
        "objectives": objectives_view(objectives),
        "retention": config.retention.model_dump(),
    }
    return describe_config(
        factory.arms,
        lineage=factory.lineage,
        configuration=configuration,
        settings=public_settings(config),
        pool=None if entries is None else public_entries(entries),
    )


def public_entries(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pool's arms as they may be shown: with digests of their profiles' texts, and of values of headers."""
    return {name: {key: _shown(key, value) for key, value in entry.items()} for name, entry in entries.items()}


def _shown(key: str, value: Any) -> Any:
    """Return a key of an arm as it may be shown; of a header, the names of environment variables stay."""
    if key == "headers" and isinstance(value, Mapping):
        return {name: text if VARIABLE.search(str(text)) else _without_texts(text) for name, text in value.items()}
    return _without_texts(value) if key == "profile" else value


def _without_texts(value: Any) -> Any:
    """Return a part of a profile with digests in place of its texts, by which a change can be told.

    What was announced has digests already: they stay, or every text would seem to have changed.
    """
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value
    if isinstance(value, str):
        return f"#{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    if isinstance(value, Mapping):
        return {key: _without_texts(part) for key, part in value.items()}
    return [*map(_without_texts, value)] if isinstance(value, list | tuple) else value


def public_settings(config: Config) -> dict[str, Any]:
    """Return a configuration as it may be shown: whole but for secrets, and its file named as from anywhere."""
    settings = config.model_dump(mode="json", by_alias=True, exclude=_SECRETS)
    prior = config.policy.prior
    if prior is not None:
        settings["policy"]["prior"] = str(Path(prior).resolve())
    return settings


def parse_announcement(text: str, namespace: str) -> AnnouncedConfig | None:
    """Return what `active_config` announced in a namespace, None where nothing was."""
    if not text:
        return None
    announced = json.loads(text)
    configuration, settings = announced["configuration"], announced.get("settings")
    known = settings or {"policy": configuration["policy"], "retention": configuration["retention"]}
    return AnnouncedConfig(
        namespace,
        announced["lineage"],
        configuration["policy"]["name"],
        known,
        is_whole=settings is not None,
        pool=announced.get("pool"),
    )
