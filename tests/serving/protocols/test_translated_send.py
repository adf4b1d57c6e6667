"""What a `send` makes of a chat's answer, however its bytes are cut."""

import itertools
import json
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.serving.http.validation import DEFAULT_LIMITS
from highwayman.serving.protocols.endpoint import PROTOCOLS
from highwayman.serving.protocols.messages.request import translate
from highwayman.serving.protocols.translated_send import ErrorSend, TranslatedSend
from tests.upstream_server import Say

ASKED = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "thinking": {"type": "x"}}
HEAD = [(b"x-highwayman-decision", b"hw-1"), (b"x-highwayman-arm", b"a")]
BODY = {"messages": [], "stream": True, "stream_options": {"include_usage": True}}
STREAM = b"".join(Say("Grüße aus Köln.").events(BODY))


async def told(pieces: list[bytes], *, status: int = 200, kind: bytes = b"text/event-stream") -> list[Any]:
    """Return the messages that go out for a chat's answer in these pieces."""
    sent: list[Any] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    translated = TranslatedSend(send, translate(json.dumps(ASKED).encode(), DEFAULT_LIMITS))
    headers = [*HEAD, (b"content-type", kind), (b"content-length", b"3")][: None if kind.endswith(b"json") else -1]
    await translated({"type": "http.response.start", "status": status, "headers": headers})
    for place, piece in enumerate(pieces):
        await translated({"type": "http.response.body", "body": piece, "more_body": place < len(pieces) - 1})
    return sent


def body_of(sent: list[Any]) -> bytes:
    return b"".join(message.get("body", b"") for message in sent)


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=6))
async def test_it_makes_no_difference_where_a_stream_is_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in itertools.pairwise(ends)]
    assert body_of(await told(pieces)) == body_of(await told([STREAM]))


async def test_what_ends_a_stream_that_was_cut_ends_it_as_the_protocol_does() -> None:
    events = Say("One two three.").events(BODY)
    error = b'\ndata: {"error": {"message": "This router is shutting down.", "type": "server_error"}}\n\n'
    body = body_of(await told([b"".join(events[:2]), events[2][:9], error]))
    assert body.rstrip().endswith(b'"message": "This router is shutting down."}}')
    assert b"message_stop" not in body


async def test_a_whole_answer_has_its_own_length_and_tells_what_was_left_out() -> None:
    answer = json.dumps(Say("Hi.").whole({"messages": []})).encode()
    start, body = await told([answer[:20], answer[20:]], kind=b"application/json")
    headers = dict(start["headers"])
    assert int(headers[b"content-length"]) == len(body["body"])
    assert headers[b"x-highwayman-left-out"] == b"thinking"
    assert json.loads(body["body"])["content"] == [{"type": "text", "text": "Hi."}]


async def test_a_refusal_passes_as_it_is() -> None:
    assert body_of(await told([b'{"error": {}}'], status=400, kind=b"application/json")) == b'{"error": {}}'


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (b'{"error": {"message": "bad top_p"}}', "bad top_p"),
        (b'{"object": "error", "message": "bad top_p"}', "bad top_p"),
        (b'{"detail": "bad top_p"}', "bad top_p"),
        (b'{"detail": [{"msg": "bad top_p"}]}', '[{"msg": "bad top_p"}]'),
        (b'{"error": "bad top_p"}', "bad top_p"),
        (b"bad top_p", "bad top_p"),
    ],
)
async def test_a_refusal_is_told_in_the_shape_of_the_protocol_whatever_its_own(refusal: bytes, says: str) -> None:
    sent: list[Any] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    errors = ErrorSend(send, PROTOCOLS["/v1/messages"])
    await errors({"type": "http.response.start", "status": 422, "headers": []})
    await errors({"type": "http.response.body", "body": refusal})
    assert json.loads(body_of(sent)) == {"type": "error", "error": {"type": "invalid_request_error", "message": says}}
