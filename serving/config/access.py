"""By which names a router is called, and pages of which origins may use it."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from highwayman.serving.config.strict import Strict

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9_.:-]+")


def _origin(text: str) -> str:
    """Return the origin as browsers write it. Raises ValueError for what is none."""
    origin = text.lower()
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError(
            f"{text!r} is no origin; write https://chat.example, with a port if it is not the scheme's own"
        )
    return origin


def _host_name(text: str) -> str:
    """Return the name. Raises ValueError for more or less than a name or an address."""
    port = text.rpartition(":")[2] if text.count(":") == 1 else ""
    if port or not _HOST_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no host name; write router.example, without scheme, port or path")
    return text.lower()


HostName = Annotated[str, AfterValidator(_host_name)]


class CorsConfig(Strict):
    """Pages of which origins may use the router."""

    allow_origins: list[Annotated[str, AfterValidator(_origin)]] = Field(
        default_factory=list,
        description=(
            "Origins whose pages may call the router and read its answers, such as https://chat.example; `*`: every "
            "one."
        ),
    )


class AdminConfig(Strict):
    """A port of its own for what an operator looks at and changes; it leaves the public one."""

    host: str = Field(default="127.0.0.1", description="Address it listens on; others than loopback need keys.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(description="Port it listens on.")
