"""What is read out of an answer on its way to the client."""

import json
from typing import Any

import pytest

from highwayman.serving.completions.conversations.tool_call_watcher import ToolCallWatcher, call_ids

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-highwayman-arm", b"large")]}


def whole(*ids: str) -> bytes:
    message = {"role": "assistant", "tool_calls": [{"id": name, "function": {"name": "f"}} for name in ids]}
    return json.dumps({"id": "chatcmpl-1", "choices": [{"index": 0, "message": message}]}).encode()


def events(*ids: str | None) -> bytes:
    deltas = [{"tool_calls": [{"index": 0, **({"id": name} if name else {})}]} for name in ids]
    chunks = [json.dumps({"id": "chatcmpl-1", "choices": [{"delta": delta}]}) for delta in deltas]
    return "".join(f"data: {chunk}\n\n" for chunk in chunks).encode()


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (whole("a", "b"), ["a", "b"]),
        (events("a", None, "b"), ["a", "b"]),
        (b": ping\n\n" + events("a"), ["a"]),
        (b'{"choices": [{"message": {"content": "say \\"tool_calls\\""}}]}', []),
        (b'data: {"choices": [{"delta": {"tool_calls": [{"id": 5}, null]}}, 7]}\n\ndata: {"tool_calls"\n', []),
        (b'{"tool_calls": []}', []),
        (b"", []),
    ],
)
def test_ids_of_tool_calls_are_read_and_what_has_another_shape_is_passed_over(body: bytes, ids: list[str]) -> None:
    assert call_ids(body) == ids


async def watched(*messages: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """What was told, and what was sent; each thing told stands before what was sent after it."""
    told: list[Any] = []
    sent: list[Any] = []

    async def on_answer(arm: str, calls: list[str], client_may_go_on: bool) -> None:
        told.append((arm, calls, client_may_go_on, len(sent)))

    async def send(message: Any) -> None:
        sent.append(message)

    watcher = ToolCallWatcher(send, on_answer)
    for message in messages:
        await watcher(message)
    return told, sent


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def test_a_stream_is_told_of_when_it_begins_with_each_call_and_before_its_end() -> None:
    messages = [START, part(b"data: {}\n\n"), part(b"data: {}\n\n"), part(events("a")), part(b"data: [DONE]\n\n")]
    told, sent = await watched(*messages)
    assert told == [("large", [], False, 1), ("large", ["a"], True, 3), ("large", [], True, 4)]
    assert sent == messages


async def test_a_whole_answer_is_told_of_before_it_is_sent() -> None:
    assert (await watched(START, part(whole("a"), more=False)))[0] == [("large", ["a"], True, 1)]


async def test_a_refusal_and_an_answer_of_nobody_are_not_told_of() -> None:
    assert (await watched({**START, "status": 502}, part(whole("a"), more=False)))[0] == []
    assert (await watched({**START, "headers": []}, part(whole("a"), more=False)))[0] == []


async def test_an_arm_that_gives_a_stored_answer_is_not_remembered_for_the_conversation() -> None:
    start = {**START, "headers": [(b"x-highwayman-arm", b"cache")]}
    told, sent = await watched(start, part(b"{}", more=False))
    assert told == []
    assert sent == [start, part(b"{}", more=False)]
