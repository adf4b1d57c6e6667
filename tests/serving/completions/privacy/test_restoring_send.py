"""Answers on their way to a client get back what placeholders stand for, wherever a stream is cut."""

import json
from collections.abc import MutableMapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from highwayman.serving.completions.privacy.restoring_send import RestoringSend

VALUES = {"[EMAIL_1]": "ann@example.org", "[PASSWORD_2]": 'a"b\\c'}
TEXT = "Write to [EMAIL_1] [EMAIL_9] [EMA, not to [[PASSWORD_2]]."
ARGUMENTS = '{"to": "[EMAIL_1]", "word": "[PASSWORD_2]"}'


async def passed(head: str, pieces: list[bytes]) -> bytes:
    out: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        out.append(message)

    restoring = RestoringSend(send, VALUES)
    await restoring({"type": "http.response.start", "status": 200, "headers": [(b"content-type", head.encode())]})
    for piece in pieces:
        await restoring({"type": "http.response.body", "body": piece, "more_body": True})
    await restoring({"type": "http.response.body", "body": b""})
    return b"".join(message.get("body", b"") for message in out)


def event(**choice: Any) -> bytes:
    chunk = {"id": "1", "model": "[EMAIL_1]", "choices": [{"index": 0, "finish_reason": None, **choice}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def cut(text: str | bytes, data: st.DataObject) -> list[Any]:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(data=st.data())
async def test_a_stream_is_restored_wherever_its_words_and_its_bytes_are_cut(data: st.DataObject) -> None:
    words = [event(delta={"content": piece}) for piece in cut(TEXT, data)]
    calls = [
        event(delta={"tool_calls": [{"index": 1, "function": {"arguments": piece}}]}) for piece in cut(ARGUMENTS, data)
    ]
    stream = b"".join([*words, *calls, event(delta={}, finish_reason="stop"), b": ping\n\n", b"data: [DONE]\n\n"])
    told = await passed("text/event-stream; charset=utf-8", cut(stream, data))
    assert told.endswith(b": ping\n\ndata: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in told.split(b"\n") if line.startswith(b"data: {")]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == (
        'Write to ann@example.org [EMAIL_9] [EMA, not to [a"b\\c].'
    )
    pieces = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert json.loads("".join(pieces)) == {"to": "ann@example.org", "word": 'a"b\\c'}
    assert {chunk["model"] for chunk in chunks} == {"[EMAIL_1]"}


async def test_what_is_held_at_the_end_comes_with_the_last_event() -> None:
    stream = event(delta={"content": "see [EMAIL"}) + event(delta={}, finish_reason="length")
    told = await passed("text/event-stream", [stream])
    last = json.loads(told.split(b"\n")[2][6:])["choices"][0]
    assert (last["delta"], last["finish_reason"]) == ({"content": "[EMAIL"}, "length")


async def test_a_whole_answer_is_restored_and_says_how_long_it_is() -> None:
    message = {"content": TEXT, "tool_calls": [{"function": {"arguments": ARGUMENTS}}]}
    body = json.dumps({"choices": [{"message": message}]}).encode()
    told = json.loads(await passed("application/json", [body[:20], body[20:]]))["choices"][0]["message"]
    assert told["content"].startswith("Write to ann@example.org [EMAIL_9]")
    assert json.loads(told["tool_calls"][0]["function"]["arguments"])["word"] == 'a"b\\c'
    assert await passed("application/json", [b"no json [EMAIL_1]"]) == b"no json [EMAIL_1]"
