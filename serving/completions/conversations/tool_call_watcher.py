"""Reads, out of an answer as it goes to the client, which arm gives it and which tools it calls."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pydantic_core

from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.serving.http.asgi import Send

_ARM = b"x-highwayman-arm"
_CALLS = b'"tool_calls"'
_DATA = b"data:"

OnAnswer = Callable[[str, list[str], bool], Awaitable[None]]  # the arm, ids of calls, whether the client may go on


class ToolCallWatcher:
    """A `send` that tells of an answer that begins, and of the tool calls in it, before the client has them."""

    def __init__(self, send: Send, on_answer: OnAnswer) -> None:
        """Take where the answer goes, and what is told of each part of it that matters."""
        self._send = send
        self._on_answer = on_answer
        self._arm: str | None = None  # None: none, or it refuses
        self._told = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Look at the message, then send it on."""
        if message["type"] == "http.response.start":
            arm = dict(message["headers"]).get(_ARM, b"").decode()
            # One that gives a stored answer has read nothing, and calls no tools: who answered before it still holds.
            self._arm = arm if arm and arm not in CACHED_ARMS and message["status"] < 400 else None
        elif self._arm is not None:
            await self._look(self._arm, message)
        await self._send(message)

    async def _look(self, arm: str, message: MutableMapping[str, Any]) -> None:
        body = message.get("body", b"")
        calls = call_ids(body)
        ends = not message.get("more_body") or b"[DONE]" in body
        if calls or ends or not self._told:
            self._told = True
            await self._on_answer(arm, calls, bool(calls) or ends)


def call_ids(body: bytes) -> list[str]:
    """Return the ids of the tool calls in a whole answer, or in the lines of a stream."""
    if _CALLS not in body:
        return []
    streamed = body.lstrip().startswith((_DATA, b":", b"event:", b"id:"))
    texts = [line[len(_DATA) :] for line in body.split(b"\n") if line.startswith(_DATA)] if streamed else [body]
    return [name for text in texts if _CALLS in text for name in _ids(text)]


def _ids(text: bytes) -> list[str]:
    try:
        answer = pydantic_core.from_json(text)
    except ValueError:
        return []
    choices = answer.get("choices") if isinstance(answer, dict) else None
    names: list[str] = []
    for choice in choices if isinstance(choices, list) else ():
        said = (choice.get("message") or choice.get("delta")) if isinstance(choice, dict) else None
        calls = said.get("tool_calls") if isinstance(said, dict) else None
        names += [
            call["id"]
            for call in (calls if isinstance(calls, list) else ())
            if isinstance(call, dict) and isinstance(call.get("id"), str) and 0 < len(call["id"]) <= 256
        ]
    return names
