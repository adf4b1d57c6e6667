"""Decision ids that only this namespace can have issued: a guess or a forgery is refused without a look-up.

An id carries the second it was issued in, so that whether it still takes feedback is known without its record.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence

from highwayman.env.errors import UnknownDecision

_PREFIX = "hw-"
_TIME = struct.Struct(">I")
_RANDOM_BYTES = 9
_BODY_BYTES = _TIME.size + _RANDOM_BYTES
_MAC_BYTES = 8
_PSEUDONYM_BYTES = 9


class DecisionIds:
    """Issues ids, 31 characters of URL-safe text, and checks them; gives persons their pseudonyms."""

    def __init__(self, secrets: Sequence[bytes], entropy: Callable[[int], bytes], clock: Callable[[], float]) -> None:
        """Take the namespace's secrets, the first for signing, a source of random bytes, and a clock (s, epoch)."""
        self.secrets = list(secrets)
        self._entropy = entropy
        self._clock = clock

    def issue(self) -> str:
        """Return a new id."""
        body = _TIME.pack(int(self._clock())) + self._entropy(_RANDOM_BYTES)
        return _PREFIX + base64.urlsafe_b64encode(body + _mac(self.secrets[0], body)).decode()

    def checked(self, decision_id: str) -> float:
        """Return when the id was issued (seconds since the epoch). Raises UnknownDecision if it was not issued here."""
        at = self.issued_at(decision_id)
        if at is None:
            raise UnknownDecision("No decision with this id was made here.")
        return at

    def issued_at(self, decision_id: str) -> float | None:
        """Return when the id was issued (seconds since the epoch), None if it was not issued with these secrets."""
        if not decision_id.startswith(_PREFIX):
            return None
        try:
            raw = base64.b64decode(decision_id[len(_PREFIX) :].encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            return None
        body, mac = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(secret, body)) for secret in self.secrets):
            return None
        return float(_TIME.unpack_from(body)[0])

    def pseudonym(self, user: str | None) -> str:
        """Return what stands for a person on the log, empty where nobody is named."""
        return pseudonym(self.secrets[0], user) if user else ""


def pseudonym(secret: bytes, user: str) -> str:
    """Return what stands for `user` on the log of a namespace with this secret."""
    digest = hashlib.blake2b(user.encode("utf-8", "surrogatepass"), key=secret, digest_size=_PSEUDONYM_BYTES,
                             person=b"user").digest()  # fmt: skip
    return base64.urlsafe_b64encode(digest).decode()


def _mac(secret: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=secret, digest_size=_MAC_BYTES).digest()
