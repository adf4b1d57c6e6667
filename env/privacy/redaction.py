"""Placeholders in the place of what is confidential, and the way back: whole, or in whatever pieces an answer comes."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from highwayman.env.privacy.detector import Detection

_PLACEHOLDER: Final = re.compile(r"\[[A-Z][A-Z0-9_]{0,63}_[0-9]{1,9}\]")
_NAME: Final = re.compile(r"[^A-Z0-9]+")


class Redaction:
    """The placeholders of one request: the same value has the same one wherever it stands."""

    def __init__(self, text: str) -> None:
        """Take all of the request's text: what looks like a placeholder in it is nobody's."""
        self._taken = frozenset(_PLACEHOLDER.findall(text))
        self._placeholders: dict[str, str] = {}  # by value
        self._count = 0

    @property
    def values(self) -> dict[str, str]:
        """What each placeholder stands for."""
        return {placeholder: value for value, placeholder in self._placeholders.items()}

    def redacted(self, text: str, detections: Iterable[Detection]) -> str:
        """Return a text with placeholders for what is detected; of stretches that overlap, for all of them together."""
        pieces, upto = [], 0
        for kind, start, end in _apart(detections):
            pieces += [text[upto:start], self._placeholder(kind, text[start:end])]
            upto = end
        return "".join([*pieces, text[upto:]])

    def _placeholder(self, kind: str, value: str) -> str:
        if value not in self._placeholders:
            name = _NAME.sub("_", kind.upper()).strip("_")[:60] or "VALUE"
            while True:
                self._count += 1
                placeholder = f"[{name if name[0].isalpha() else f'X{name}'}_{self._count}]"
                if placeholder not in self._taken:
                    break
            self._placeholders[value] = placeholder
        return self._placeholders[value]


def _apart(detections: Iterable[Detection]) -> list[tuple[str, int, int]]:
    """Return kind, start and end of stretches that do not overlap, in order."""
    apart: list[tuple[str, int, int]] = []
    for detection in sorted(detections, key=lambda each: (each.start, -each.end)):
        if apart and detection.start < apart[-1][2]:
            kind, start, end = apart[-1]
            apart[-1] = (kind, start, max(end, detection.end))
        else:
            apart.append((detection.kind, detection.start, detection.end))
    return apart


def restored(text: str, values: Mapping[str, str]) -> str:
    """Return a text with what its placeholders stand for; of others, as they are."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[0], match[0]), text)


class PiecewiseRestorer:
    """Restores a text that comes in pieces: what may be a placeholder's beginning waits for the rest of it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Take what each placeholder stands for."""
        self._values = values
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what can be told by now."""
        text = self._held + piece
        begin = text.rfind("[")
        tail = text[begin:] if begin >= 0 else ""
        is_open = bool(tail) and any(placeholder.startswith(tail) for placeholder in self._values)
        self._held = tail if is_open and tail not in self._values else ""
        return restored(text[: len(text) - len(self._held)], self._values)

    def finish(self) -> str:
        """Return what is held: nothing follows it."""
        held, self._held = self._held, ""
        return held
