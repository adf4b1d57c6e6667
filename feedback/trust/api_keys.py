"""API keys in Redis: whose they are, and what they may do. The keys themselves are not kept, only their HMAC."""

import contextlib
import hashlib
import hmac
import json
import logging
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.errors import HighwaymanError
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.redis.scripts import Scripts
from highwayman.feedback.log.store import Keys, Store
from highwayman.feedback.trust.anomaly_detector import SuspectedKey
from highwayman.feedback.trust.principal import ANSWERS, FEEDBACK, SCOPES
from highwayman.feedback.trust.quotas import parse_quotas

_PREFIX, _ID_PREFIX = "hwk-", "key-"
_SECRET_BYTES, _ID_BYTES = 32, 6
_SHOWN = len(_PREFIX) + 4  # characters of a key by which its owner knows it again

log = logging.getLogger(__name__)


class KeyState(StrEnum):
    """What becomes of what comes with a key."""

    ACTIVE = "active"
    QUARANTINED = "quarantined"  # feedback is kept, and does not count until it is released
    REVOKED = "revoked"  # for good


class UnknownKey(HighwaymanError):
    """No key with this id."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept."""

    id: str
    name: str
    tenant: str
    created_at: float  # seconds since the epoch
    mac: str  # of the key, under the namespace's first secret
    scopes: tuple[str, ...] = (ANSWERS, FEEDBACK)
    state: KeyState = KeyState.ACTIVE
    influence: float | None = None  # the most of a tenant's evidence that may come with it; None: as configured
    rate_per_s: float | None = None  # feedback posts it may send; None: as configured
    why: str = ""  # it is in quarantine
    since: float | None = None  # seconds since the epoch: what came with it from then on is quarantined
    expires_at: float | None = None  # seconds since the epoch; None: never
    prefix: str = ""  # its first characters; empty where an older release made it
    limits: Mapping[str, float] = field(default_factory=dict)  # by name, as `parse_quotas` takes them
    previous_mac: str = ""  # of the key that it had before it was rotated
    previous_until: float = 0.0  # seconds since the epoch: until then that one opens what it opened


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """What a new key is for. Raises ValueError for what no key can be for."""

    name: str
    tenant: str
    scopes: Sequence[str] = field(default=(ANSWERS, FEEDBACK))
    influence: float | None = None
    rate_per_s: float | None = None
    expires_at: float | None = None  # seconds since the epoch
    limits: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tenant:
            raise ValueError(f"tenant must be a name, got {self.tenant!r}")
        if not self.scopes or not SCOPES.issuperset(self.scopes):
            raise ValueError(f"scopes must be some of {', '.join(sorted(SCOPES))}, got {tuple(self.scopes)!r}")
        if self.influence is not None and not 0 < self.influence <= 1:
            raise ValueError(f"influence must be in (0, 1], got {self.influence!r}")
        if self.rate_per_s is not None and not (math.isfinite(self.rate_per_s) and self.rate_per_s > 0):
            raise ValueError(f"rate_per_s must be > 0, got {self.rate_per_s!r}")
        parse_quotas(self.limits)


class KeyStore:
    """The keys of a namespace. Raises StoreUnavailable whenever Redis does not answer."""

    def __init__(self, client: "aioredis.Redis", namespace: str, store: Store) -> None:
        """Take a client, the namespace, and its store, which has the secrets."""
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._key, self._used_key = Keys(namespace)("keys"), Keys(namespace)("keys", "used")
        self._store = store
        self._scripts = Scripts(client, "swap_field")

    async def add(self, grant: KeyGrant, *, at: float) -> tuple[ApiKey, str]:
        """Make a key; return it as it is kept, and the key itself, which nobody can show again."""
        text, mac = await self._new_key()
        api_key = ApiKey(
            id=_ID_PREFIX + secrets.token_hex(_ID_BYTES),
            name=grant.name,
            tenant=grant.tenant,
            created_at=at,
            mac=mac,
            scopes=tuple(grant.scopes),
            influence=grant.influence,
            rate_per_s=grant.rate_per_s,
            expires_at=grant.expires_at,
            prefix=text[:_SHOWN],
            limits=dict(grant.limits),
        )
        with redis_errors():
            await self._client.hset(self._key, api_key.id, key_json(api_key))
        return api_key, text

    async def rotate(self, key_id: str, *, grace_until: float, expires_at: float | None = None) -> tuple[ApiKey, str]:
        """Give a key new text and leave all else as it is; return it, and the text. Raises UnknownKey.

        Args:
            key_id: of the key; it stays, and so does what hangs on it: limits, influence, quarantine.
            grace_until: seconds since the epoch; until then the old text opens what it opened.
            expires_at: of the key from now on, None: as before.

        Raises:
            ValueError: it is revoked.
        """
        text, mac = await self._new_key()
        while True:
            data, api_key = await self._found(key_id)
            if api_key.state is KeyState.REVOKED:
                raise ValueError(f"{key_id} is revoked; make another key")
            until = grace_until if api_key.expires_at is None else min(grace_until, api_key.expires_at)
            changed = replace(
                api_key,
                mac=mac,
                prefix=text[:_SHOWN],
                previous_mac=api_key.mac,
                previous_until=until,
                expires_at=api_key.expires_at if expires_at is None else expires_at,
            )
            if await self._swapped(data, changed):
                return changed, text

    async def _new_key(self) -> tuple[str, str]:
        """Return the text of a new key, and its HMAC."""
        signing_secrets = await self._store.secrets(secrets.token_bytes(32), issued=False)
        text = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        return text, key_mac(signing_secrets[0], text)

    async def named(self, name: str) -> ApiKey:
        """Return the key with this id, or else the one with this name that is not revoked.

        Raises:
            UnknownKey: there is none.
            ValueError: several have the name.
        """
        keys = await self.all()
        known = [key for key in keys if key.id == name]
        known = known or [key for key in keys if key.name == name and key.state is not KeyState.REVOKED]
        if not known:
            raise _unknown(name)
        if len(known) > 1:
            raise ValueError(f"several keys are called {name!r}: {', '.join(key.id for key in known)}; give the id")
        return known[0]

    async def on_used(self, used: Mapping[str, float]) -> None:
        """Note when keys were used last: by id, seconds since the epoch."""
        with redis_errors():
            await self._client.hset(self._used_key, mapping=dict(used))

    async def last_used(self) -> dict[str, float]:
        """Return when keys were used last, to the minute: by id, seconds since the epoch."""
        with redis_errors():
            return {name.decode(): float(at) for name, at in (await self._client.hgetall(self._used_key)).items()}

    async def all(self) -> list[ApiKey]:
        """Return the keys, oldest first; one that cannot be read is taken for revoked."""
        with redis_errors():
            fields = await self._client.hgetall(self._key)
        return sorted(
            (_readable(name, data) for name, data in fields.items()), key=lambda key: (key.created_at, key.id)
        )

    async def get(self, key_id: str) -> ApiKey:
        """Return the key with this id. Raises UnknownKey."""
        return (await self._found(key_id))[1]

    async def set_state(self, key_id: str, state: KeyState, *, why: str = "", since: float | None = None) -> ApiKey:
        """Give a key another state; one that is revoked stays so. Raises UnknownKey."""
        while True:
            data, api_key = await self._found(key_id)
            if api_key.state is KeyState.REVOKED:
                return api_key
            changed = replace(api_key, state=state, why=why, since=since)
            if await self._swapped(data, changed):
                return changed

    async def quarantined(self) -> dict[str, float | None]:
        """Return the keys in quarantine, each with the time since when (seconds since the epoch; None: always)."""
        return {key.id: key.since for key in await self.all() if key.state is KeyState.QUARANTINED}

    async def quarantine_if_active(self, suspect: SuspectedKey) -> None:
        """Put a key in quarantine that is active; any other is left as it is."""
        with contextlib.suppress(UnknownKey):
            while True:
                data, api_key = await self._found(suspect.key)
                why = f"{suspect.why}, {suspect.detail}"
                quarantined = replace(api_key, state=KeyState.QUARANTINED, why=why, since=suspect.since)
                if api_key.state is not KeyState.ACTIVE or await self._swapped(data, quarantined):
                    return

    async def _found(self, key_id: str) -> tuple[bytes, ApiKey]:
        with redis_errors():
            data = await self._client.hget(self._key, key_id)
        if data is None:
            raise _unknown(key_id)
        return data, _readable(key_id.encode(), data)

    async def _swapped(self, data: bytes, key: ApiKey) -> bool:
        return bool(await self._scripts.call("swap_field", [self._key], [key.id, data, key_json(key)]))


def _unknown(name: str) -> UnknownKey:
    return UnknownKey(f"there is no key {name!r}; `highwayman keys list` shows them")


def key_mac(secret: bytes, text: str) -> str:
    """Return the HMAC of a key under a secret of the namespace."""
    return hmac.new(secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def key_json(key: ApiKey) -> str:
    """Return a key as JSON."""
    return json.dumps(asdict(key))


def parse_key(data: bytes | str) -> ApiKey:
    """Return the key that `key_json` wrote; what a newer version added is passed over."""
    fields: Mapping[str, Any] = json.loads(data)
    known = {name: value for name, value in fields.items() if name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**known, "scopes": tuple(known["scopes"]), "state": KeyState(known["state"])})


def _readable(name: bytes, data: bytes) -> ApiKey:
    """Return a key; where this version cannot read it, one of that id which grants nothing."""
    try:
        return parse_key(data)
    except (ValueError, LookupError, TypeError, AttributeError):
        key_id = name.decode(errors="replace")
        log.error("key %s cannot be read: it opens nothing", key_id)
        return ApiKey(key_id, "", "", 0.0, "", (), KeyState.REVOKED, why="it cannot be read")
