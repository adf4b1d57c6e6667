"""What the headers of an answer say beside it: who was asked, how probably, and what is special about it."""

from collections.abc import Callable

from highwayman.env.types import Arm, Decision
from highwayman.serving.completions.answer_cache.answer_cache import CachedAnswer
from highwayman.serving.http.asgi import Headers


def answer_headers(
    content_type: str,
    decision: Decision,
    arm: Arm,
    *,
    tools_dropped: bool = False,
    cached: CachedAnswer | None = None,
    vote_link: Callable[[Decision], str] | None = None,
) -> Headers:
    """Return the headers of an answer of `arm`.

    `tools_dropped` says that it was asked without the tools that the caller offers, `cached` is the stored answer that
    is given, `vote_link` tells the address of a page for one vote on the answer.
    """
    headers = [
        (b"content-type", content_type.encode("latin-1")),
        (b"x-highwayman-decision", decision.id.encode()),
        (b"x-highwayman-arm", arm.name.encode()),
        (b"x-highwayman-propensity", repr(decision.propensity).encode()),
    ]
    if tools_dropped:
        headers.append((b"x-highwayman-tools", b"dropped"))
    if cached is not None:
        headers.append((b"age", str(int(cached.age_s)).encode()))
        headers.append((b"x-highwayman-similarity", f"{cached.similarity:.4f}".encode()))
    if vote_link is not None:
        headers.append((b"x-highwayman-feedback-url", vote_link(decision).encode()))
    return headers
