"""What the events of one stream have in common, so that an event with nothing but other words need not be parsed."""

import re
from typing import Any, Final, Self

from highwayman.env.json_pieces import PIECE_BYTES
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.env.upstream.answers.lines import parse_event

_DATA: Final = b"data:"
_PROBE: Final = "-7f3a-"  # words that no event has said
_INSIDE: Final = re.compile(rb'(?:[^"\\\n]++|\\[^\n])++')  # of a JSON string, as far as it tells where that ends


class EventTemplate:
    """The bytes before and behind the words of an event whose words are all that there is to read of it.

    An event that differs from a parsed one inside a single JSON string has the same structure, keys and other values.
    So if that string is words of the answer, and the parsed event told of nothing else (no end, usage or error), the
    other one tells of nothing else either, however its JSON is written.
    """

    def __init__(self, before: bytes, behind: bytes, told_before: bytes, told_behind: bytes) -> None:
        """Take the bytes around the words as they come, and as they go out; a line's end is no part of them."""
        self._before, self._behind, self._told_before, self._told_behind = before, behind, told_before, told_behind
        self._blank = b"\n\r\n" if behind.endswith(b"\r") else b"\n\n"  # the line's end, and a line without anything
        self._end, self._told_end = behind + self._blank, told_behind + self._blank
        self._inside = slice(len(before), -len(self._end))  # of the chunk that one event is
        self.around = len(before) + len(self._end)  # bytes of it that are no words
        self._joint, self._told_joint = self._end + before, told_behind + self._blank + told_before

    @classmethod
    def of(cls, line: bytes, event: Any, told: bytes) -> Self | None:
        """Return the template of an event that tells of words only; None where its words cannot be told apart in it.

        Args:
            line: it came as.
            event: it is, parsed.
            told: the line it goes out as.
        """
        text = _words(event)
        needle = b'"%b"' % text.encode()
        if len(line) > PIECE_BYTES or not (text.isascii() and text.isprintable()) or '"' in text or "\\" in text:
            return None
        if not text or line.count(needle) != 1 or told.count(needle) != 1 or _PROBE.encode() in line:
            return None
        before, behind = line.split(needle)
        try:
            probed = parse_event(before[len(_DATA) :] + b'"%b"' % _PROBE.encode() + behind)
        except ValueError:
            return None
        if _words(probed) != _PROBE:  # a key, or another value that happens to read the same
            return None
        told_before, told_behind = told.split(needle)
        return cls(before + b'"', b'"' + behind, told_before + b'"', b'"' + told_behind)

    def words_of_line(self, line: bytes) -> bytes | None:
        """Return the words of a line, still as JSON writes them; None for a line that is not such an event."""
        if not (line.startswith(self._before) and line.endswith(self._behind)) or len(line) > PIECE_BYTES:
            return None
        words = line[len(self._before) : -len(self._behind)]
        return words if _INSIDE.fullmatch(words) else None

    def passed(self, chunk: bytes) -> tuple[list[bytes], bytes] | None:
        """Return the words of each event of a chunk, a piece at most, and the chunk that goes out.

        None for one that is not some such events, all of them whole.
        """
        if not (chunk.startswith(self._before) and chunk.endswith(self._end)):
            return None
        inside = chunk[self._inside]
        if _INSIDE.fullmatch(inside):
            return [inside], self._told_before + inside + self._told_end
        words = inside.split(self._joint)
        if not all(map(_INSIDE.fullmatch, words)):
            return None
        return words, self._told_before + self._told_joint.join(words) + self._told_end

    def line(self, words: bytes) -> bytes:
        """Return the line that goes out, without its end."""
        return self._told_before + words + self._told_behind


def _words(event: Any) -> str:
    """Return what an event says."""
    text = AnswerText()
    text.add(event)
    return text.sample
