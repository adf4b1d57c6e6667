"""The API keys as far as a router has read them: a request is looked up here, never in Redis."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.trust.api_keys import ApiKey, KeyState, KeyStore, key_mac
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.state.local_state import LocalState

_EVERY_S = 1.0

log = logging.getLogger(__name__)


class ApiKeyCache:
    """Knows a caller by their key, as of the last second."""

    def __init__(self, keys: KeyStore, local_state: LocalState, secrets: Callable[[], Sequence[bytes]]) -> None:
        """Take where keys are, where they are kept for a start without Redis, and the namespace's secrets."""
        self._keys = keys
        self._local_state = local_state
        self._secrets = secrets
        self._all: tuple[ApiKey, ...] = ()
        self._principals: dict[str, Principal] = {}
        self._closed = False
        self._use(local_state.keys())

    def __bool__(self) -> bool:
        """Return whether there are any keys, be they revoked; or were: a Redis that has lost them lets nobody in."""
        return self._closed

    def lookup(self, text: str) -> Principal | None:
        """Return who has this key, None for one that is unknown or revoked."""
        principals = (self._principals.get(key_mac(secret, text)) for secret in self._secrets())
        return next((principal for principal in principals if principal is not None), None)

    async def refresh(self) -> None:
        """Read the keys anew. Raises StoreUnavailable."""
        keys = tuple(await self._keys.all())
        if keys != self._all:
            self._use(keys)
            await asyncio.to_thread(self._local_state.save_keys, keys)

    async def run(self) -> None:
        """Keep up with changes until cancelled; without Redis, what was read last holds."""
        while True:
            try:
                await self.refresh()
            except StoreUnavailable:
                log.debug("keys are as they were read last")
            await asyncio.sleep(_EVERY_S)

    def _use(self, keys: Sequence[ApiKey]) -> None:
        self._all = tuple(keys)
        self._closed = self._closed or bool(self._all)
        self._principals = {key.mac: _principal(key) for key in keys if key.state is not KeyState.REVOKED}


def _principal(key: ApiKey) -> Principal:
    return Principal(
        key.tenant,
        key.id,
        frozenset(key.scopes),
        quarantined=key.state is KeyState.QUARANTINED,
        influence=key.influence,
        rate_per_s=key.rate_per_s,
    )
