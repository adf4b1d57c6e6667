"""Decision ids that only this namespace can have issued, to one tenant: a guess, a forgery or somebody else's id is
refused without a look-up.

An id carries the second it was issued in, so that whether it still takes feedback is known without its record.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote

from highwayman.env.errors import UnknownDecision
from highwayman.env.types import DEFAULT_TENANT

_PREFIX = "hw-"
_ANSWERS = ("chatcmpl-", "cmpl-", "msg_", "resp_")  # before a decision's id, the id of the answer
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

    def issue(self, tenant: str = DEFAULT_TENANT) -> str:
        """Return a new id for a decision of this tenant's."""
        body = _TIME.pack(int(self._clock())) + self._entropy(_RANDOM_BYTES)
        return _PREFIX + base64.urlsafe_b64encode(body + _mac(self.secrets[0], body, tenant)).decode()

    def verify(self, decision_id: str, tenant: str = DEFAULT_TENANT) -> float:
        """Return when the id was issued to the tenant (s, epoch). Raises UnknownDecision if it was not."""
        at = self.issued_at(decision_id, tenant)
        if at is None:
            raise UnknownDecision("No decision with this id was made here.")
        return at

    def issued_at(self, decision_id: str, tenant: str = DEFAULT_TENANT) -> float | None:
        """Return when the id was issued (s, epoch), None if it was not, to this tenant, with these secrets."""
        if not decision_id.startswith(_PREFIX):
            return None
        try:
            raw = base64.b64decode(decision_id[len(_PREFIX) :].encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            return None
        body, mac = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(secret, body, tenant)) for secret in self.secrets):
            return None
        return float(_TIME.unpack_from(body)[0])

    def pseudonym(self, user: str | None) -> str:
        """Return what stands for a person on the log, empty where nobody is named."""
        return pseudonym(self.secrets[0], user) if user else ""

    def link(self, kind: str, name: str, tenant: str = DEFAULT_TENANT) -> str:
        """Return what stands on the log for an id that a tenant's client gave something."""
        return self.links(kind, name, tenant)[0]

    def links(self, kind: str, name: str, tenant: str = DEFAULT_TENANT) -> list[str]:
        """Return what may stand for it, with each secret there is."""
        text = "\0".join((kind, tenant, name)).encode("utf-8", "surrogatepass")
        return [
            _text(hashlib.blake2b(text, key=secret, digest_size=12, person=b"link").digest()) for secret in self.secrets
        ]

    def ticket(self, decision_id: str, tenant: str = DEFAULT_TENANT) -> str:
        """Return what allows anybody who has it one vote on the decision."""
        tenant_part = "" if tenant == DEFAULT_TENANT else "." + quote(tenant, safe="").replace(".", "%2E")
        return f"{decision_id}.{self._ticket(self.secrets[0], decision_id, tenant)}{tenant_part}"

    def verify_ticket(self, ticket: str) -> tuple[str, str]:
        """Return the decision that a ticket is for, and its tenant. Raises UnknownDecision for one not issued here."""
        decision_id, _, rest = ticket.partition(".")
        mac, _, tenant_part = rest.partition(".")
        tenant, given = unquote(tenant_part) or DEFAULT_TENANT, mac.encode("utf-8", "surrogatepass")
        if not any(
            hmac.compare_digest(given, self._ticket(secret, decision_id, tenant).encode()) for secret in self.secrets
        ):
            raise UnknownDecision("This link was not issued here.")
        return decision_id, tenant

    @staticmethod
    def _ticket(secret: bytes, decision_id: str, tenant: str) -> str:
        text = f"{tenant}\0{decision_id}".encode("utf-8", "surrogatepass")
        return _text(hashlib.blake2b(text, key=secret, digest_size=12, person=b"vote").digest())


def seconds_of(decision_id: str) -> float | None:
    """Return the second that an id, verified or not, says it was issued in (s, epoch); None: it says none."""
    try:
        raw = base64.urlsafe_b64decode(decision_id.removeprefix(_PREFIX))
        return float(_TIME.unpack_from(raw)[0]) if decision_id.startswith(_PREFIX) else None
    except (ValueError, struct.error):
        return None


def without_prefix(answer_id: str) -> str:
    """Return the decision id in the id of an answer, any other text as it is.

    >>> without_prefix("chatcmpl-hw-Zk3"), without_prefix("chatcmpl-9")
    ('hw-Zk3', 'chatcmpl-9')
    """
    for prefix in _ANSWERS:
        if answer_id.startswith(prefix + _PREFIX):
            return answer_id[len(prefix) :]
    return answer_id


def pseudonym(secret: bytes, user: str) -> str:
    """Return what stands for `user` on the log of a namespace with this secret."""
    digest = hashlib.blake2b(user.encode("utf-8", "surrogatepass"), key=secret, digest_size=_PSEUDONYM_BYTES,
                             person=b"user").digest()  # fmt: skip
    return _text(digest)


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode()


def _mac(secret: bytes, body: bytes, tenant: str) -> bytes:
    tenant_part = b"" if tenant == DEFAULT_TENANT else tenant.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(body + tenant_part, key=secret, digest_size=_MAC_BYTES).digest()
