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

    Browsers say by `sec-fetch-site` or `origin` whose page sends a POST; what says neither is no browser, and brings
    its key itself.
    """
    site, origin, host = (header(scope, name) for name in (b"sec-fetch-site", b"origin", b"host"))
    if site not in (None, "same-origin") or (origin is not None and origin.partition("://")[2] != host):
        raise OriginNotAllowed("The dashboard takes changes from its own pages only.")
