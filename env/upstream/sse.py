"""An answer on its way through: the arm's name put in, usage read, everything else byte for byte."""

import json
import re
from typing import Any

import pydantic_core

from highwayman.env.types import Usage
from highwayman.env.upstream.transcript import Transcript

# A quote inside a JSON string is escaped, so the bare pattern can only be a key and its value.
_MODEL = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')
_ID = re.compile(rb'"id"\s*:\s*"(chatcmpl-|cmpl-)(?!tool)(?:[^"\\]|\\.)*"')  # not that of a tool's call
_DATA = b"data:"
_DONE = b"[DONE]"


class ResponseIdentity:
    """What an answer goes out as: its "model" is the arm, its "id" that of the decision."""

    def __init__(self, arm: str, decision_id: str) -> None:
        """Take the name of the arm that serves, and the decision's id."""
        self._model = b'"model":' + json.dumps(arm).encode()
        self._id = json.dumps(decision_id).encode()[1:]

    def rewrite(self, data: bytes) -> bytes:
        """Return the JSON text `data` with its first "model", and the answer's own "id", set."""
        data = _MODEL.sub(lambda _: self._model, data, count=1)
        return _ID.sub(lambda match: b'"id":"' + match[1] + self._id, data, count=1)


def parse_usage(answer: Any) -> Usage | None:
    """Return the usage an answer or chunk (parsed) reports, or None."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return None
    counts = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
    if not all(isinstance(count, int) for count in counts):
        return None
    return Usage(int(counts[0]), int(counts[1]))  # type: ignore[arg-type]  # checked above


def parse_finish_reason(answer: Any) -> str | None:
    """Return the first choice's finish reason of an answer or chunk (parsed), or None."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    reason = first.get("finish_reason") if isinstance(first, dict) else None
    return reason if isinstance(reason, str) else None


class SseRewriter:
    """Rewrites a server-sent event stream line by line and keeps what the meter needs."""

    def __init__(self, identity: ResponseIdentity, *, keep_usage: bool, transcript: Transcript | None = None) -> None:
        """Prepare for one stream.

        Args:
            identity: what each chunk goes out as.
            keep_usage: whether the caller asked for the usage chunk; it is dropped otherwise.
            transcript: is given every chunk.
        """
        self._identity = identity
        self._transcript = transcript
        self._keep_usage = keep_usage
        self._rest = b""
        self._dropped = False  # the line before was a dropped event; so goes the blank line that ends it
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.data_lines = 0  # about one token each, for streams cut before their usage
        self.done = False

    def feed(self, chunk: bytes) -> bytes:
        """Return what of `chunk` and what was held back can go to the client; an unfinished line is held back."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        return b"".join(self._line(line) for line in lines)

    def finish(self) -> bytes:
        """Return the last line, if the upstream left it without its end."""
        rest, self._rest = self._rest, b""
        return self._line(rest).rstrip(b"\n") if rest else b""

    def _line(self, line: bytes) -> bytes:
        if not line.startswith(_DATA):
            blank = not line.strip()
            dropped, self._dropped = self._dropped and blank, False
            return b"" if dropped else line + b"\n"
        self._dropped = False
        if line[len(_DATA) :].strip() == _DONE:
            self.done = True
            return line + b"\n"
        self.data_lines += 1
        if self._transcript is not None or b'"usage"' in line or b'"finish_reason"' in line:
            self._read(line[len(_DATA) :])
        return b"" if self._dropped else self._identity.rewrite(line) + b"\n"

    def _read(self, data: bytes) -> None:
        try:
            event = pydantic_core.from_json(data)
        except ValueError:
            return  # not ours to judge: it goes through as it came
        if self._transcript is not None:
            self._transcript.add(event)
        self.finish_reason = parse_finish_reason(event) or self.finish_reason
        usage = parse_usage(event)
        if usage is not None:
            self.usage = usage
            self._dropped = not self._keep_usage and not event.get("choices")
