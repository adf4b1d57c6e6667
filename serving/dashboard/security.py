"""What a page of the dashboard may do in a browser, and who may send it something."""

from typing import Final

from highwayman.serving.http.asgi import Scope, header
from highwayman.serving.http.errors import OriginNotAllowed

# Scripts, styles and data of our own origin and nothing else; no inline script or style, no frame around us.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


def need_same_origin(scope: Scope) -> None:
    """Return if a page of ours sends a request that changes something. Raises OriginNotAllowed.

    Browsers say by `sec-fetch-site` whose page sends a POST, whatever a proxy makes of our name, and by `origin` where
    they reach us without TLS; what says neither is no browser, and brings its key itself.
    """
    site, origin, host = (header(scope, name) for name in (b"sec-fetch-site", b"origin", b"host"))
    is_own = site == "same-origin" if site is not None else origin is None or origin.partition("://")[2] == host
    if not is_own:
        raise OriginNotAllowed("The dashboard takes changes from its own pages only.")
