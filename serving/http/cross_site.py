"""Pages of other origins: kept out of a router that asks for no key, let in where the configuration says so.

Without a key, what a browser adds is all that tells the owner of a machine from a page the owner has open: Host says by
which name the router was called (a name of the page's own that was made to point here, with DNS rebinding), Origin
whose page asks, and a content type other than JSON's that the page did not have to ask before sending.
"""

import ipaddress
import re
from collections.abc import Collection, MutableMapping
from functools import lru_cache
from typing import Any

from highwayman.serving.http.asgi import Scope, Send, header
from highwayman.serving.http.errors import HostNotAllowed, OriginNotAllowed
from highwayman.serving.http.validation import BadRequest

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::[0-9]+)?")
_DOOR = "worker"  # by which a worker is called on its own Unix socket; browsers cannot call one
_KNOWN_HOSTS = 256  # whose answers are remembered
_LONGEST_SHOWN = 100
# Octets of no type are none of the three types that a page may send unasked; many small clients say so of JSON.
_TYPES = frozenset({"application/json", "application/octet-stream", "application/x-ndjson", "application/x-protobuf"})
_TAKES_FILES = frozenset({"/v1/audio/transcriptions", "/v1/audio/translations"})
_EXPOSED = (
    b"x-highwayman-decision, x-highwayman-arm, x-highwayman-propensity, x-highwayman-cascade, "
    b"x-highwayman-feedback-url, x-highwayman-left-out, retry-after, "
    b"x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    b"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)
_ALLOW_ORIGIN = b"access-control-allow-origin"
_HOST_REFUSED = (
    "This router asks for no API key, so it answers to this machine's own names only, and {host} is none. Name it "
    "under `allowed_hosts` in highwayman.yaml, or give API keys out (`highwayman keys add`)."
)
_ORIGIN_REFUSED = (
    "This router asks for no API key, so pages of other origins may not use it, and {origin} is another. Name it under "
    "`cors: {{allow_origins: [...]}}` in highwayman.yaml."
)


class CrossSiteGuard:
    """Refuses what a page of another origin could send."""

    def __init__(self, hosts: Collection[str], origins: Collection[str]) -> None:
        """Take names this router is called by beside those of loopback, and origins whose pages may ask."""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)
        self._is_own_host = lru_cache(_KNOWN_HOSTS)(self._looked_up)

    def check(self, scope: Scope) -> None:
        """Return if the router's owner may have sent the request.

        Raises:
            HostNotAllowed: it calls the router by a name that is not its own.
            OriginNotAllowed: a page of another origin sends it.
            BadRequest: it posts what is not declared as JSON (status 415).
        """
        host = origin = content_type = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"content-type":
                content_type = value
        if not self._is_own_host(host or b"") and not (_name(host) == _DOOR and _on_unix_socket(scope)):
            raise HostNotAllowed(_HOST_REFUSED.format(host=_shown(_name(host))))
        if origin is not None and not self._may_ask(origin.decode("latin-1").lower(), _name(host)):
            raise OriginNotAllowed(_ORIGIN_REFUSED.format(origin=_shown(origin.decode("latin-1"))))
        if scope["method"] == "POST" and content_type != b"application/json" and not _is_file(scope, content_type):
            _check_type((content_type or b"").decode("latin-1"))

    def _may_ask(self, origin: str, host: str) -> bool:
        return origin.partition("://")[2] == host or origin in self._origins or "*" in self._origins

    def _looked_up(self, host: bytes) -> bool:
        match = _HOST.fullmatch(_name(host))
        if match is None:
            return False
        name = match[1] or match[2].removesuffix(".")
        if name in self._hosts or name == "localhost" or name.endswith(".localhost"):  # never asked of a name server
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback


class CorsPolicy:
    """Tells browsers that pages of some origins may read the answers; false where there are none."""

    def __init__(self, origins: Collection[str]) -> None:
        """Take the origins, as browsers write them; `*` is every one."""
        self._origins = frozenset(origins)

    def __bool__(self) -> bool:
        return bool(self._origins)

    def allowed_origin(self, scope: Scope) -> bytes | None:
        """Return the origin of the page that sends a request, None if there is none or it is not one of these."""
        origin = header(scope, b"origin")
        if origin is None or not ("*" in self._origins or origin.lower() in self._origins):
            return None
        return origin.encode("latin-1")

    @staticmethod
    def preflight_headers(scope: Scope, origin: bytes) -> list[tuple[bytes, bytes]] | None:
        """Return the answer's headers, if a browser asks whether a page of `origin` may send a request; else None."""
        if scope["method"] != "OPTIONS" or header(scope, b"access-control-request-method") is None:
            return None
        asked = header(scope, b"access-control-request-headers") or "authorization, content-type"
        return [
            (_ALLOW_ORIGIN, origin),
            (b"access-control-allow-methods", b"GET, POST, DELETE"),
            (b"access-control-allow-headers", asked.encode("latin-1")),
            (b"access-control-max-age", b"600"),
            (b"vary", b"origin, access-control-request-headers"),
        ]

    @staticmethod
    def sending(send: Send, origin: bytes) -> Send:
        """Return a `send` whose answers say that pages of `origin` may read them."""

        async def send_readable(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0] != _ALLOW_ORIGIN]
                ours = [(_ALLOW_ORIGIN, origin), (b"access-control-expose-headers", _EXPOSED), (b"vary", b"origin")]
                message = {**message, "headers": [*headers, *ours]}
            await send(message)

        return send_readable


def _name(host: bytes | None) -> str:
    return (host or b"").decode("latin-1").lower()


def _on_unix_socket(scope: Scope) -> bool:
    address = scope.get("server")
    return address is None or address[1] is None  # a path has no port


def _is_file(scope: Scope, content_type: bytes | None) -> bool:
    """Return whether it is a form with a file, where a route takes one, and no page of another origin sends it.

    A page may send a form unasked; but browsers say by `sec-fetch-site` that they do, and of whose page it is.
    """
    is_form = (content_type or b"").startswith(b"multipart/form-data") and scope["path"] in _TAKES_FILES
    return is_form and header(scope, b"sec-fetch-site") in (None, "same-origin", "none")


def _check_type(content_type: str) -> None:
    """Raise BadRequest for a content type that is neither JSON's nor one that a page has to ask before sending."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence in _TYPES or essence.endswith("+json"):
        return
    given = f"is {_shown(essence)}" if essence else "is missing"
    raise BadRequest(
        f"The content-type {given}. Send JSON, and say so: content-type: application/json "
        "(curl: -H 'content-type: application/json').",
        status=415,
    )


def _shown(text: str) -> str:
    return repr(text[:_LONGEST_SHOWN])
