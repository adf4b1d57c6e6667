"""What a page of ours has sent: the fields of a small form."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from highwayman.serving.http.asgi import read_body

_LIMIT_BYTES: Final = 64 * 1024


async def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields, the last of each name. Raises BadRequest if it is too large, or comes too slowly."""
    body = await read_body(request.scope, request.receive, limit_bytes=_LIMIT_BYTES)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
