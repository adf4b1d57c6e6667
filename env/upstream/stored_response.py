"""An answer that was given before, in the shape of one that has just come from a server."""

from highwayman.env.types import Arm, JsonObject
from highwayman.env.upstream.calls.reading import JSON, as_whole
from highwayman.env.upstream.calls.response import UpstreamResponse


def stored_response(
    arm: Arm, text: str, *, usage: tuple[int, int], chat: bool, stream: bool, created_at: float, now: float
) -> UpstreamResponse:
    """Return a text as an answer of `arm`, whole or as a stream.

    Args:
        arm: that gives it.
        text: of it.
        usage: tokens in and out, as the answer took them when it was made.
        chat: whether it is a chat's answer, or a completion's.
        stream: whether the caller wants one.
        created_at: seconds since the epoch.
        now: monotonic seconds.
    """
    said: JsonObject = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    answer: JsonObject = {
        "id": "",
        "object": "chat.completion" if chat else "text_completion",
        "created": int(created_at),
        "model": arm.name,
        "choices": [{"index": 0, **said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }
    return as_whole(UpstreamResponse(arm, 200, JSON, now, now, b""), answer, stream=stream)
