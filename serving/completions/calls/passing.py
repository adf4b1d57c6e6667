"""Words of a stream on the shortest way: from their chunk to the client, without a task's turn."""

from highwayman.env.upstream.answers.sse import SseRewriter
from highwayman.env.upstream.calls.chunk_tap import Take
from highwayman.serving.http.asgi import ResponseStartTracker, Send


def passing(send: Send, stream: SseRewriter) -> Take:
    """Return what passes a chunk on as it comes, if it is nothing but words and the client has room for it."""
    if not isinstance(send, ResponseStartTracker):  # somebody looks at the answer on its way
        return lambda chunk: False
    has_room, send_part = send.has_room, send.write_part or send.send_part

    def take(chunk: bytes) -> bool:
        words = stream.pass_words(chunk) if has_room() else None
        if words is None:
            return False
        send_part(words)
        return True

    return take
