"""Changes by a command, which has neither the router's files nor its parts: by what routers have announced."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.pool.changes.pool_changes import Changes, with_changes
from highwayman.env.pool.pool_file import parse_entries
from highwayman.env.types import Arm
from highwayman.feedback.log.config_events import config_changes, with_arms
from highwayman.feedback.log.store import Store
from highwayman.serving.config.config import Config
from highwayman.serving.reload.arm_edits import Edit
from highwayman.serving.reload.live_config import Change, told
from highwayman.serving.reload.live_keys import differences
from highwayman.serving.reload.shared_state import SharedConfig, SharedState
from highwayman.serving.state.announced_config import AnnouncedConfig, parse_announcement

_TRIES = 5


@dataclass(frozen=True, slots=True)
class RunningRouters:
    """The routers of a namespace, as they have announced themselves."""

    store: Store
    shared: SharedConfig
    namespace: str

    async def announced(self) -> tuple[str, AnnouncedConfig]:
        """Return what is in force, as announced. Raises ConfigError where no router has, or one of an older release."""
        text = await self.store.active_config()
        announced = parse_announcement(text, self.namespace)
        if announced is None:
            raise ConfigError(f"no router has announced itself in namespace {self.namespace}; start one first")
        if announced.pool is None or not announced.is_whole:
            raise ConfigError("the routers in force are of an earlier release, or have no pool file; start them anew")
        return text, announced

    async def tree(self) -> dict[str, Any]:
        """Return configuration and pool in force, as they may be shown."""
        _, announced = await self.announced()
        return _told(announced, (await self.shared.read()).changes)

    async def ask_for_reload(self, by: str) -> int:
        """Have all workers read their files again; return the generation of that."""
        for _ in range(_TRIES):
            state = await self.shared.read()
            count, reload_count = state.generation + 1, state.reloads + 1
            if await self.shared.put(state, replace(state, generation=count, reloads=reload_count, asked_by=by)):
                return count
        raise StoreUnavailable("others change what is in force at the same time")

    async def edit(
        self, by: str, edit: Edit, check: Callable[[Config, Collection[Arm], Collection[Arm]], None]
    ) -> Change:
        """Change arms in all routers.

        Args:
            by: who wants it.
            edit: the change.
            check: raises ConfigError where the configuration names what was there before, and is gone after.

        Raises:
            ConfigError: why that cannot be; nothing is changed.
        """
        for _ in range(_TRIES):
            (before, announced), state = await self.announced(), await self.shared.read()
            entries = announced.pool or {}
            changes = edit(entries, state.changes)
            arms, arms_before = (
                parse_entries(with_changes(entries, those), name="the pool, as changed").arms
                for those in (changes, state.changes)
            )
            check(announced.load(), arms_before, arms)
            changed = differences(_told(announced, state.changes), _told(announced, changes))
            after = with_arms(before, arms)
            controls = config_changes(before, after, at=time.time(), by=by, changed=changed)
            new_state = SharedState(state.generation + 1, state.reloads, changes)
            if await self.shared.put(state, new_state, controls, (before, after)):
                return Change(new_state.generation, changed)
        raise StoreUnavailable("others change what is in force at the same time")


def _told(announced: AnnouncedConfig, changes: Changes) -> dict[str, Any]:
    return told({**announced.settings, "namespace": announced.namespace}, announced.pool or {}, changes)
