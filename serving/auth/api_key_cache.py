"""The API keys as far as a router has read them: a request is looked up here, never in Redis."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.trust.api_keys import ApiKey, KeyState, KeyStore, key_mac
from highwayman.feedback.trust.principal import Principal
from highwayman.feedback.trust.quotas import Quota, parse_quotas
from highwayman.serving.state.local_state import LocalState

_EVERY_S = 1.0
_USED_EVERY_S = 60.0  # a key's last use is told to the minute

log = logging.getLogger(__name__)


class ApiKeyCache:
    """Knows a caller by their key, as of the last second."""

    def __init__(
        self, keys: KeyStore, local_state: LocalState, secrets: Callable[[], Sequence[bytes]],
        *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Take where keys are, where they are kept for a start without Redis, the namespace's secrets, and a clock,
        seconds since the epoch.
        """
        self._keys = keys
        self._local_state = local_state
        self._secrets = secrets
        self._clock = clock
        self._all: tuple[ApiKey, ...] = ()
        self._principals: dict[str, tuple[Principal, float]] = {}  # by HMAC, and until when (seconds since the epoch)
        self._used: dict[str, float] = {}  # by key: when it was used last, as far as is not told yet
        self._told_used: dict[str, float] = {}
        self._closed = False
        self._use(local_state.keys())

    def __bool__(self) -> bool:
        """Return whether there are any keys, be they revoked; or were: a Redis that has lost them lets nobody in."""
        return self._closed

    def lookup(self, text: str) -> Principal | None:
        """Return who has this key, None for one that is unknown, revoked or has expired."""
        for secret in self._secrets():
            mac = key_mac(secret, text)
            if mac in self._principals:
                return self.of_mac(mac)
        return None

    def of_mac(self, mac: str) -> Principal | None:
        """Return who has the key with this HMAC, None for one that is unknown, revoked or has expired."""
        principal, until = self._principals.get(mac, (None, 0.0))
        now = self._clock()
        if principal is None or now >= until:
            return None
        self._used[principal.key_id] = now
        return principal

    def all(self) -> Sequence[tuple[ApiKey, Principal]]:
        """Return the keys that are not revoked, and whom each stands for, oldest first."""
        return [(key, _principal(key)) for key in self._all if key.state is not KeyState.REVOKED]

    async def refresh(self) -> None:
        """Read the keys anew. Raises StoreUnavailable."""
        keys = tuple(await self._keys.all())
        if keys != self._all:
            self._use(keys)
            await asyncio.to_thread(self._local_state.save_keys, keys)
        used = {
            key_id: at for key_id, at in self._used.items() if at - self._told_used.get(key_id, 0.0) >= _USED_EVERY_S
        }
        if used:
            await self._keys.on_used(used)
            self._told_used.update(used)

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
        self._principals = {}
        for key in keys:
            if key.state is not KeyState.REVOKED:
                until = math.inf if key.expires_at is None else key.expires_at
                principal = _principal(key)
                self._principals[key.mac] = principal, until
                if key.previous_mac:
                    self._principals[key.previous_mac] = principal, key.previous_until


def _principal(key: ApiKey) -> Principal:
    return Principal(
        key.tenant,
        key.id,
        frozenset(key.scopes),
        quarantined=key.state is KeyState.QUARANTINED,
        influence=key.influence,
        rate_per_s=key.rate_per_s,
        quotas=_quotas(key),
    )


def _quotas(key: ApiKey) -> tuple[Quota, ...]:
    """Return a key's limits, those that this release can read."""
    try:
        return parse_quotas(key.limits)
    except (ValueError, TypeError, AttributeError):
        log.error("the limits of key %s cannot be read: %s", key.id, key.limits)
        return ()
