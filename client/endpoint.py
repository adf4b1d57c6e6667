"""Where the router is, by what key, and when a call that failed is sent again: what both clients share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from highwayman.client.call import Call
from highwayman.client.errors import ConnectionFailed, RouterError, StatusError

LOCAL = "http://127.0.0.1:8790/v1"  # where `highwayman up` listens
_PASSING = (408, 429, 500, 502, 503, 504)
_LONGEST_WAIT_S = 8.0
_LONGEST_TOLD_S = 60.0  # a router that says to come back later than this is not waited for


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A router as a client knows it."""

    base_url: str  # without a slash at its end
    api_key: str | None = field(repr=False)
    timeout_s: float
    max_retries: int
    retry_wait_s: float  # before the first repetition; each further one waits twice as long

    def target(self, call: Call[Any]) -> str:
        """Return path and query of a call."""
        query = {name: _text(value) for name, value in call.query.items() if value is not None}
        return urlsplit(self.base_url).path + call.path + (f"?{urlencode(query)}" if query else "")

    def headers(self) -> Mapping[str, str]:
        """Return the headers of every call."""
        key = {"authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {"accept": "application/json", "content-type": "application/json", **key}

    def wait_s(self, call: Call[Any], error: RouterError, repeated: int) -> float | None:
        """Return how long to wait before `call`, which has been repeated so often, is sent again; None: it is not.

        What is not repeatable is sent again only where it has certainly done nothing: not sent, or refused with 429.
        """
        if repeated >= self.max_retries:
            return None
        told = error.retry_after_s if isinstance(error, StatusError) else None
        if isinstance(error, StatusError):
            may_repeat = error.status in _PASSING and (call.repeatable or error.status == 429)
        else:
            may_repeat = isinstance(error, ConnectionFailed) and (call.repeatable or not error.sent)
        if not may_repeat or (told or 0.0) > _LONGEST_TOLD_S:
            return None
        return told if told is not None else min(self.retry_wait_s * 2**repeated, _LONGEST_WAIT_S)


def endpoint(
    base_url: str | None,
    api_key: str | None,
    *,
    timeout: float,
    max_retries: int,
    retry_wait_s: float,
    environment: Mapping[str, str] = os.environ,
) -> Endpoint:
    """Return where the router is: as said, else by HIGHWAYMAN_BASE_URL and HIGHWAYMAN_API_KEY, else on this machine.

    >>> endpoint("https://router.example", None, timeout=30, max_retries=2, retry_wait_s=.5, environment={}).base_url
    'https://router.example/v1'

    Raises ValueError for an address that is none.
    """
    url = (base_url or environment.get("HIGHWAYMAN_BASE_URL") or LOCAL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url must be an address such as {LOCAL}, got {url!r}")
    versioned = url if parts.path.endswith("/v1") else f"{url}/v1"
    key = api_key if api_key is not None else environment.get("HIGHWAYMAN_API_KEY")
    return Endpoint(versioned, key, timeout, max_retries, retry_wait_s)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
