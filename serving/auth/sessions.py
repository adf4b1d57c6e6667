"""A browser's session: a signed note of which API key was given, which is worth nothing once that key is not."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Final

from highwayman.env.errors import Unauthorized
from highwayman.feedback.trust.api_keys import key_mac
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.auth.authenticator import Authenticator
from highwayman.serving.http.asgi import Scope, header

COOKIE: Final = "highwayman_session"
SESSION_S: Final = 12 * 3600.0  # a working day


class Sessions:
    """Turns an API key into a cookie's text, and that back into whom the key stands for."""

    def __init__(
        self, authenticator: Authenticator, secrets: Callable[[], Sequence[bytes]], clock: Callable[[], float]
    ) -> None:
        """Take who knows the keys, the namespace's secrets, the first for signing, and a clock (s, epoch)."""
        self._authenticator = authenticator
        self._secrets = secrets
        self._clock = clock

    def open(self, api_key: str) -> str:
        """Return the session of a key. Raises Unauthorized if there is no such key."""
        self._authenticator.of_key(api_key)
        secrets = self._secrets()
        # A key stands under the secret that was the first when it was made.
        known = (secret for secret in secrets if self._authenticator.of_mac(key_mac(secret, api_key), secret))
        secret = next(known, secrets[0])
        body = f"{int(self._clock() + SESSION_S)}.{key_mac(secret, api_key)}"
        return f"{body}.{_signature(secret, body)}"

    def principal(self, scope: Scope) -> Principal:
        """Return whom a request's cookie stands for. Raises Unauthorized where it stands for nobody, or no more."""
        body, _, signature = (_cookie(scope) or "").rpartition(".")
        until, _, mac = body.partition(".")
        for secret in self._secrets():
            is_ours = hmac.compare_digest(_signature(secret, body).encode(), signature.encode())  # text may be any
            if is_ours and self._clock() < int(until):
                principal = self._authenticator.of_mac(mac, secret)
                if principal is not None:
                    return principal
        raise Unauthorized("Sign in with an API key of the scope admin.")


def _signature(secret: bytes, body: str) -> str:
    return hmac.new(secret, f"session {body}".encode(), hashlib.sha256).hexdigest()


def _cookie(scope: Scope) -> str | None:
    try:
        morsel = SimpleCookie(header(scope, b"cookie") or "").get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value
