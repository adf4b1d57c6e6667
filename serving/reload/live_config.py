"""What a worker decides by, as far as that may change while it runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from highwayman.env.errors import ConfigError
from highwayman.env.pool.changes.pool_changes import Changes, changed_pool, with_changes
from highwayman.env.types import Arm
from highwayman.serving.config.config import Config
from highwayman.serving.reload.config_files import LoadedFiles
from highwayman.serving.reload.live_keys import with_live_keys
from highwayman.serving.state.announced_config import public_entries, public_settings


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """The files, what lies over them, and what comes of both."""

    loaded: LoadedFiles
    changes: Changes  # of arms, over those of the pool file
    config: Config  # with the keys that may change as the file has them, and the others as at the start
    arms: tuple[Arm, ...]
    needs_restart: tuple[str, ...] = ()  # keys that are not in force until then

    def as_told(self) -> dict[str, Any]:
        """Return it as it may be shown."""
        return told(public_settings(self.config), self.loaded.pool.entries, self.changes)

    def after(
        self, loaded: LoadedFiles, changes: Changes, check: Callable[["LiveConfig"], Sequence[str]]
    ) -> "LiveConfig":
        """Return what is in force once files say this, and this is changed.

        Args:
            loaded: the files.
            changes: of arms.
            check: returns what else needs a restart; raises ConfigError.

        Raises:
            ConfigError: it cannot be.
        """
        arms = changed_pool(loaded.pool, changes).arms
        try:
            config, needs_restart = with_live_keys(self.config, loaded.config)
        except ValidationError as error:
            raise ConfigError("; ".join(str(problem["msg"]) for problem in error.errors(include_url=False))) from error
        live = LiveConfig(loaded, changes, config, arms)
        try:
            return replace(live, needs_restart=(*needs_restart, *check(live)))
        except ConfigError as error:
            if not needs_restart:
                raise
            kept = ", ".join(needs_restart)  # else the files may say all that is asked for
            raise ConfigError(f"{error} (until a restart these stay as they were: {kept})") from error


@dataclass(frozen=True, slots=True)
class Change:
    """What came of a change."""

    generation: int  # 0: the other workers are not told yet
    changed: Mapping[str, Any] = field(default_factory=dict)  # by key: the value before, and now
    needs_restart: tuple[str, ...] = ()

    def __str__(self) -> str:
        changed = "; ".join(f"{key}: {before} -> {after}" for key, (before, after) in self.changed.items())
        restart = f"; needs a restart: {', '.join(self.needs_restart)}" if self.needs_restart else ""
        return (changed or "nothing has changed") + restart


def told(settings: Mapping[str, Any], entries: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Return a configuration and a pool as they may be shown, in one tree."""
    return {**settings, "pool": public_entries(with_changes(entries, changes))}
