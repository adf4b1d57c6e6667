"""The body of a small answer, such as a server's `/metrics`: all of it, in however many pieces it comes."""

import aiohttp


async def whole_body(response: aiohttp.ClientResponse, *, most_bytes: int) -> bytes:
    """Return the body. Raises ValueError for one that is too large, aiohttp.ClientError for one that breaks off."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most_bytes:
            raise ValueError(f"{response.url.path} has more than {most_bytes} bytes")
    return bytes(body)
