"""Decision ids that only this namespace can have issued: a guess or a forgery is refused without a look-up."""

import base64
import hashlib
import hmac
from collections.abc import Callable

_PREFIX = "hw-"
_RANDOM_BYTES = 13
_MAC_BYTES = 8


class DecisionIds:
    """Issues ids, 31 characters of URL-safe text, and checks them."""

    def __init__(self, secret: bytes, entropy: Callable[[int], bytes]) -> None:
        """Take the namespace's secret and a source of random bytes."""
        self._secret = secret
        self._entropy = entropy

    def issue(self) -> str:
        """Return a new id."""
        random = self._entropy(_RANDOM_BYTES)
        return _PREFIX + base64.urlsafe_b64encode(random + self._mac(random)).decode()

    def genuine(self, decision_id: str) -> bool:
        """Return whether `decision_id` was issued with this secret."""
        if not decision_id.startswith(_PREFIX):
            return False
        try:
            raw = base64.b64decode(decision_id[len(_PREFIX) :].encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            return False
        return hmac.compare_digest(raw[_RANDOM_BYTES:], self._mac(raw[:_RANDOM_BYTES]))

    def _mac(self, random: bytes) -> bytes:
        return hashlib.blake2b(random, key=self._secret, digest_size=_MAC_BYTES).digest()
