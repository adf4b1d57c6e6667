"""Who may come in: the caller that a request's API key stands for."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from highwayman.env.errors import Unauthorized
from highwayman.feedback.trust.api_keys import ApiKey, key_mac
from highwayman.feedback.trust.principal import ANONYMOUS, Principal
from highwayman.serving.auth.api_key_cache import ApiKeyCache
from highwayman.serving.http.asgi import Scope, header

_REFUSED: Final = "Give a valid API key: Authorization: Bearer KEY."


class Authenticator:
    """Knows the operator's keys, which a router is started with, and those that tenants were given."""

    def __init__(self, operator_keys: Iterable[str], key_cache: ApiKeyCache, own_key: str | None = None) -> None:
        """Take both, and the key that the router's own machine has, which is an operator's and closes nothing."""
        self._keys = tuple(key.encode() for key in operator_keys)
        self._known = (*self._keys, *([own_key.encode()] if own_key else ()))
        self._key_cache = key_cache

    @property
    def is_open(self) -> bool:
        """Whether no key is configured, so that anybody may come in."""
        return not self._keys and not self._key_cache

    def tenants_keys(self) -> Sequence[tuple[ApiKey, Principal]]:
        """Return the keys that tenants were given and that are not revoked, and whom each stands for."""
        return self._key_cache.all()

    def authenticate(self, scope: Scope) -> Principal:
        """Return who sends a request: anybody, where no key is configured. Raises Unauthorized."""
        if self.is_open:
            return ANONYMOUS
        api_key = api_key_from(scope)
        if api_key is None:
            raise Unauthorized(_REFUSED)
        return self.of_key(api_key)

    def of_key(self, api_key: str) -> Principal:
        """Return whom a key stands for. Raises Unauthorized for one that is unknown, revoked or has expired."""
        secret = api_key.encode("utf-8", "surrogatepass")
        if any([hmac.compare_digest(secret, key) for key in self._known]):  # noqa: C419  (all, in equal time)
            return ANONYMOUS
        principal = self._key_cache.lookup(api_key)
        if principal is None:
            raise Unauthorized(_REFUSED)
        return principal

    def of_mac(self, mac: str, secret: bytes) -> Principal | None:
        """Return whom the key stands for whose HMAC under a secret of the namespace this is, None for nobody."""
        if any(hmac.compare_digest(key_mac(secret, key.decode()), mac) for key in self._known):
            return ANONYMOUS
        return self._key_cache.of_mac(mac)


def api_key_from(scope: Scope) -> str | None:
    """Return the key in a request's headers: Bearer, Basic (its password, as Langfuse sends it), x-api-key as
    Anthropic's clients send it, or api-key as Azure's do.
    """
    kind, _, value = (header(scope, b"authorization") or "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return None
    return header(scope, b"x-api-key") or header(scope, b"api-key")
