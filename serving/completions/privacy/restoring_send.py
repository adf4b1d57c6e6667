"""Puts back what placeholders stand for, on the answer's way to the client: whole, or streamed event by event."""

import json
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from highwayman.env.privacy.redaction import PiecewiseRestorer, restored
from highwayman.serving.http.asgi import Send

_ARGUMENTS: Final = "arguments"  # of a tool: JSON within JSON
_NOT_WORDS: Final = frozenset({"role", "id", "type", "name", "object", "model", "finish_reason", "call_id", "index"})
_DATA: Final = b"data:"
_Path = tuple[str | int, ...]


class RestoringSend:
    """A client's `send`, for an arm's answer to a request in which placeholders stood."""

    def __init__(self, send: Send, values: Mapping[str, str]) -> None:
        """Take what it is sent on to, and what each placeholder stands for."""
        self._send = send
        self._values = values
        self._inside = {placeholder: json.dumps(value)[1:-1] for placeholder, value in values.items()}
        self._start: MutableMapping[str, Any] | None = None  # of a whole answer, whose length is not known yet
        self._body = b""  # of a whole answer; of a stream, a line whose end has not come
        self._streams = False
        self._pieces: dict[_Path, PiecewiseRestorer] = {}

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Take a message, and send what can be told of it."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._streams:
            await self._send({**message, "body": self._lines(message)})
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_whole()

    async def _begin(self, message: MutableMapping[str, Any]) -> None:
        self._streams = any(
            name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"]
        )
        if self._streams:
            await self._send(message)
        else:
            self._start = message

    async def _send_whole(self) -> None:
        start = self._start or {}
        body = restored_json(self._body, self._values, self._inside)
        rest = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await self._send({**start, "headers": [*rest, (b"content-length", str(len(body)).encode())]})
        await self._send({"type": "http.response.body", "body": body})

    def _lines(self, message: MutableMapping[str, Any]) -> bytes:
        """Return the lines that are whole by now, restored; all that is left with the stream's last message."""
        *lines, self._body = (self._body + message.get("body", b"")).split(b"\n")
        told = [self._line(line) + b"\n" for line in lines]
        if not message.get("more_body"):
            told.append(self._line(self._body))
        return b"".join(told)

    def _line(self, line: bytes) -> bytes:
        if not line.startswith(_DATA):
            return line
        try:
            event = json.loads(line[len(_DATA) :])
        except ValueError:  # [DONE], or nothing of ours
            return line
        choices = event.get("choices") if isinstance(event, dict) else None
        if not isinstance(choices, list) or not choices:
            return line
        event["choices"] = [self._choice(choice) if isinstance(choice, dict) else choice for choice in choices]
        return b"data: " + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        place = choice.get("index", 0)
        told: dict[str, Any] = {}
        for name, value in choice.items():
            told[name] = self._piece(value, (place, name)) if name in ("delta", "text") else value
        if choice.get("finish_reason") is not None:
            self._finish(told, place)
        return told

    def _piece(self, value: Any, path: _Path) -> Any:
        """Return a piece of an answer as it can be told; `path` says which text it goes on with."""
        if isinstance(value, str):
            if path[-1] in _NOT_WORDS:
                return value
            values = self._inside if path[-1] == _ARGUMENTS else self._values
            return self._pieces.setdefault(path, PiecewiseRestorer(values)).feed(value)
        if isinstance(value, dict):
            return {name: self._piece(part, (*path, name)) for name, part in value.items()}
        if isinstance(value, list):
            return [self._piece(part, (*path, _place(part, k))) for k, part in enumerate(value)]
        return value

    def _finish(self, choice: dict[str, Any], place: Any) -> None:
        """Add what is held of a choice to its last event."""
        for path, restorer in self._pieces.items():
            held = restorer.finish() if path[0] == place else ""
            if held:
                _append(choice, path[1:], held)


def restored_json(body: bytes, values: Mapping[str, str], inside: Mapping[str, str]) -> bytes:
    """Return a whole answer with its values; what is no JSON, as it is.

    `inside` has the values as they stand in JSON within a text, which a tool's arguments are.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    told = _restored(answer, values, inside)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _restored(value: Any, values: Mapping[str, str], inside: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return restored(value, values)
    if isinstance(value, dict):
        return {
            name: restored(part, inside)
            if name == _ARGUMENTS and isinstance(part, str)
            else _restored(part, values, inside)
            for name, part in value.items()
        }
    return [_restored(part, values, inside) for part in value] if isinstance(value, list) else value


def _place(part: Any, place: int) -> int:
    """Return which one of a list a part is: by its own word, which calls of tools have."""
    told = part.get("index") if isinstance(part, dict) else None
    return told if isinstance(told, int) else place


def _append(choice: dict[str, Any], path: _Path, text: str) -> None:
    """Append a text at a path of a choice, which is made where it is not there."""
    *outer, last = path
    value: Any = choice
    for step, following in zip(outer, path[1:], strict=True):
        value = _entered(value, step, [] if isinstance(following, int) else {})
    value[last] = (value.get(last) or "") + text


def _entered(value: Any, step: str | int, empty: Any) -> Any:
    """Return what lies one step further, made if it is not there."""
    if isinstance(value, dict):
        if value.get(step) is None:
            value[step] = empty
        return value[step]
    entry = next((part for k, part in enumerate(value) if _place(part, k) == step), None)
    if entry is None:
        entry = {"index": step}
        value.append(entry)
    return entry
