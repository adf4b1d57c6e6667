"""What a router settles with the others through Redis: signing secrets, what quality is worth, what is in force."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.log.config_events import record_config_change
from highwayman.feedback.log.store import Store
from highwayman.serving.state.announced_config import active_config
from highwayman.serving.state.learner_factory import LearnerFactory
from highwayman.serving.state.local_state import LocalState
from highwayman.serving.state.pool_objectives import PoolObjectives

_EVERY_S = 5.0  # between two looks at secrets that other routers may have added
_AGAIN_S = 1.0  # while Redis is away
_CHECKS = 2  # a Redis that lost its last seconds lost an announcement with them; later ones are others' doing

log = logging.getLogger(__name__)


class NamespaceSync:
    """Joins this router to its namespace, at its start or as soon as Redis is there, and keeps it joined."""

    def __init__(
        self,
        store: Store,
        ids: DecisionIds,
        local_state: LocalState,
        factory: LearnerFactory,
        *,
        objectives: PoolObjectives,
        own: bytes,
        entries: Mapping[str, Any] | None = None,
    ) -> None:
        """Take what is joined.

        Args:
            store: of the namespace.
            ids: issues and checks with the secrets found.
            local_state: where they are kept for a start without Redis.
            factory: what this router would have in force.
            objectives: refer to what the namespace has settled on.
            own: a secret of this router's, the namespace's where it has none.
            entries: the arms of its pool file; None: it has none.
        """
        self._store = store
        self._ids = ids
        self._local_state = local_state
        self._factory = factory
        self._objectives = objectives
        self._own = own
        self._entries = entries
        self._unsynced = False  # ids may have been issued without the namespace's secrets
        self._checks_left = _CHECKS  # at whether Redis still knows what was announced
        self._config_before: str | None = None  # what was in force before that

    def follow(self, factory: LearnerFactory, entries: Mapping[str, Any] | None) -> None:
        """Announce this from now on, where Redis has lost what was announced."""
        self._factory, self._entries = factory, entries

    def described(self) -> str:
        """Return what the log shall say is in force with this router."""
        return active_config(self._factory, self._objectives, self._entries)

    async def sync_once(self) -> None:
        """Settle now.

        Raises:
            StoreUnavailable: Redis does not answer.
            ConfigError: it may evict the log.
        """
        try:
            await self._sync()
        except StoreUnavailable:
            self._unsynced = self._unsynced or self._ids.secrets[0] == self._own
            raise

    async def run(self) -> None:
        """Settle again and again until cancelled."""
        while True:
            pause_s = _EVERY_S
            try:
                await self.sync_once()
            except StoreUnavailable:
                pause_s = _AGAIN_S
            except ConfigError as error:
                log.critical("%s", error)
            await asyncio.sleep(pause_s)

    async def _sync(self) -> None:
        secrets = await self._store.secrets(self._own, issued=self._unsynced)
        self._unsynced = False
        self._ids.secrets = secrets
        await asyncio.to_thread(self._local_state.save_secrets, secrets)
        spread = await self._store.settle_spread(self._objectives.proposed())
        self._objectives.settle(spread)
        await asyncio.to_thread(self._local_state.save_spread, spread)
        if self._config_before is None:
            await self._refuse_eviction()
            before = await self._store.active_config()
            await record_config_change(self._store, self.described(), at=time.time())
            self._config_before = before
        elif self._checks_left:
            if await self._store.active_config() == self._config_before:
                await record_config_change(self._store, self.described(), at=time.time())
            self._checks_left -= 1

    async def _refuse_eviction(self) -> None:
        evicting = await self._store.eviction_policy()
        if evicting is not None:
            raise ConfigError(
                f"Redis has maxmemory-policy {evicting} and may throw parts of the log away; "
                "set it to noeviction (CONFIG SET maxmemory-policy noeviction, or in its configuration file)"
            )
