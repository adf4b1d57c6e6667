"""An answer on its way through: the arm's name put in, usage read, everything else byte for byte."""

import asyncio
import re
from dataclasses import replace
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from highwayman.env.json_pieces import PIECE_BYTES
from highwayman.env.upstream.answers.answer_assembly import AnswerAssembly
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.env.upstream.answers.endings import Account, Ending, account_of_event
from highwayman.env.upstream.answers.event_template import EventTemplate
from highwayman.env.upstream.answers.lines import AnswerSizes, EventLineSplitter, SplitEvent, parse_event
from highwayman.env.upstream.answers.transcript import Transcript
from highwayman.env.upstream.answers.usage_report import ReportedUsage, joined, parse_reported_usage

# A quote inside a JSON string is escaped, so the bare pattern can only be a key and its value.
_MODEL = re.compile(rb'"model"\s*:\s*(?:"(?:[^"\\]|\\.)*"|null)')
_VALUE = rb'("(?:[^"\\]|\\.)*"|[-+.\w]+)'  # a text, a number, null
_ID_FIRST = re.compile(rb'\s*(?:data:\s*)?\{\s*"id"\s*:\s*' + _VALUE)
_ID_HERE = re.compile(rb'"id"\s*:\s*' + _VALUE)
_MARK = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]')
_MOST_REASON_CHARS = 64
_MOST_UNUSED = 8  # templates in a row that fit no other event: those of this stream have little in common
_DATA = b"data:"
_DONE = b"[DONE]"
_ERROR_NAMES = (b"event: error", b"event:error")


class ResponseIdentity:
    """What an answer goes out as: its "model" is the arm, its "id" that of the decision."""

    def __init__(self, arm: str, decision_id: str, *, chat: bool = True, adds: bool = False) -> None:
        """Take the name of the arm that serves, the decision's id, and whether it is a chat's answer.

        `adds` says whether an answer that came without a "model" or an "id" gets them.
        """
        self._adds = adds
        self._model = _model_of(arm)
        self._id = encode_basestring_ascii(decision_id).encode()[1:]
        self._prefix = b'"chatcmpl-' if chat else b'"cmpl-'

    def rewrite(self, data: bytes) -> bytes:
        """Return the JSON text `data` with its first "model", and the answer's own "id" whatever it was, set."""
        data = _MODEL.sub(lambda _: self._model, data, count=1)
        match = _ID_FIRST.match(data) or _own_id(data)
        if match is None:
            return data
        start, end = match.span(1)
        prefix = b'"cmpl-' if match[1].startswith(b'"cmpl-') else self._prefix
        return data[:start] + prefix + self._id + data[end:]

    async def rewrite_aside(self, data: bytes, answer: Any = None) -> bytes:
        """Return what `rewrite` does, of a large text from another thread, and `named` of the answer (parsed)."""
        told = self.rewrite(data) if len(data) <= PIECE_BYTES else await asyncio.to_thread(self.rewrite, data)
        return self.named(told, answer)

    def named(self, data: bytes, answer: Any) -> bytes:
        """Return the JSON text of an answer or chunk (parsed), with the "id" and "model" that it lacks if so wanted."""
        if not (self._adds and isinstance(answer, dict)) or ("id" in answer and "model" in answer):
            return data
        if "choices" not in answer:
            return data
        own = [] if "id" in answer else [b'"id":' + self._prefix + self._id]
        own += [] if "model" in answer else [self._model]
        start = data.index(b"{") + 1
        return b"".join([data[:start], b",".join([*own, data[start:]])])


def _is_named(answer: Any) -> bool:
    return isinstance(answer, dict) and "id" in answer and "model" in answer


@lru_cache
def _model_of(arm: str) -> bytes:
    return b'"model":' + encode_basestring_ascii(arm).encode()


def _own_id(data: bytes) -> re.Match[bytes] | None:
    """Return where the outermost object of a JSON text has its "id", None where it has none."""
    if b'"id"' not in data:
        return None
    depth = 0
    for mark in _MARK.finditer(data):
        text = mark[0]
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
        elif depth == 1 and text == b'"id"' and (match := _ID_HERE.match(data, mark.start())):
            return match
    return None


def parse_finish_reason(answer: Any) -> str | None:
    """Return the first choice's finish reason of an answer or chunk (parsed), or None."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    reason = first.get("finish_reason") if isinstance(first, dict) else None
    return reason[:_MOST_REASON_CHARS] if isinstance(reason, str) else None


class SseRewriter:
    """Rewrites a server-sent event stream line by line and keeps what the meter needs."""

    def __init__(
        self,
        identity: ResponseIdentity,
        *,
        keep_usage: bool,
        transcript: Transcript | None = None,
        assembly: AnswerAssembly | None = None,
        sizes: AnswerSizes | None = None,
    ) -> None:
        """Prepare for one stream.

        Args:
            identity: what each chunk goes out as.
            keep_usage: whether the caller asked for the usage chunk; it is dropped otherwise.
            transcript: is given every chunk.
            assembly: is given every event, and may say what goes out in its place.
            sizes: how long a line, and all of it, may be.
        """
        self._identity = identity
        self._transcript = transcript
        self._assembly = assembly
        self._reads_all = transcript is not None or assembly is not None
        self._keep_usage = keep_usage
        self._sizes = sizes or AnswerSizes()
        self.lines = EventLineSplitter()
        self._split = SplitEvent()
        self._bytes = 0
        self._is_named = False  # an event has come that had an id and a model: those that lack them have no need
        self._goes_on = False  # words have come since a choice ended: those of another one
        self._is_called_error = False  # the event whose data comes next is an `error` by its name
        self._dropped = False  # the line before was a dropped event; so goes the blank line that ends it
        self._template: EventTemplate | None = None  # of the last event that told of words only
        self._unused_templates = 0
        self._text = AnswerText()
        self.usage: ReportedUsage | None = None
        self.finish_reason: str | None = None
        self.data_lines = 0
        self.done = False
        self.failure: str | None = None  # why the stream is broken, once an event has said so; nothing goes on after it
        self.account: Account | None = None  # of that event

    @property
    def complete(self) -> bool:
        """Whether the answer has come to its end, by its last event or by a finish reason behind its last words."""
        return self.failure is None and (self.done or (self.finish_reason is not None and not self._goes_on))

    def words(self) -> AnswerText:
        """Return what was said so far."""
        return self._text

    def feed(self, chunk: bytes) -> bytes:
        """Return what of `chunk` and what was held back can go to the client; an unfinished line is held back."""
        passed = self.pass_words(chunk)
        if passed is not None:
            return passed
        passed = b"".join(map(self._line, self.lines.feed(chunk)))
        self._bytes += len(chunk)
        if self.failure is None and self._bytes > self._sizes.stream:
            self.failure = self._sizes.too_long_a_stream()
        elif self.failure is None and self.lines.held_bytes + self._split.held_bytes > self._sizes.line:
            self.failure = self._sizes.too_long_a_line()
        return passed

    def finish(self) -> bytes:
        """Return the last line, if the upstream left it without its end."""
        rest = self.lines.finish()
        last = (self._line(rest) if rest else b"") + self._whole_event()
        return last.rstrip(b"\n") if rest else last

    def pass_words(self, chunk: bytes) -> bytes | None:
        """Return what goes out for a chunk of whole events that say nothing but words.

        None for any other chunk, and for one that is too many: it changes nothing, and has to be fed.
        """
        template = self._template
        if template is None or self.lines.held_bytes or self._split.held_bytes or self.failure is not None:
            return None
        size = len(chunk)
        if size > PIECE_BYTES or self._bytes + size > self._sizes.stream:
            return None
        passed = template.passed(chunk)
        if passed is None:
            return None
        words, told = passed
        self._dropped = False
        self._bytes += size
        self._on_words(words, size - template.around)
        return told

    def _line(self, line: bytes) -> bytes:
        if self.failure is not None:
            return b""
        if self._split.held_bytes:
            if line.startswith(_DATA) and self._split.takes(line):
                self._split.add(line)
                return b""
            return self._whole_event() + self._line(line)
        if not line.startswith(_DATA):
            blank = not line.strip()
            self._is_called_error = not blank and (self._is_called_error or line.strip() in _ERROR_NAMES)
            dropped, self._dropped = self._dropped and blank, False
            return b"" if dropped else line + b"\n"
        return self._data_line(line)

    def _data_line(self, line: bytes) -> bytes:
        self._dropped = False
        words = self._template.words_of_line(line) if self._template is not None else None
        if words is not None and self._template is not None:
            self._on_words([words], len(words))
            return self._template.line(words) + b"\n"
        if line[len(_DATA) :].strip() == _DONE:
            self.done = True
            return line + b"\n"
        try:
            event = parse_event(line[len(_DATA) :])
        except ValueError:
            if not self._is_called_error:  # perhaps it goes on in the next line
                self._split.add(line)
                return b""
            event = None
        return self._event(line, event)

    def _whole_event(self) -> bytes:
        """Return what goes out for the event of several lines, if there is one; what is no JSON goes as it came."""
        if not self._split:
            return b""
        value, lines = self._split.take()
        if value:
            return self._event(_DATA + value, parse_event(value))
        self.data_lines += len(lines)
        return b"".join([self._identity.rewrite(line) + b"\n" for line in lines])

    def _event(self, line: bytes, event: Any) -> bytes:
        self.data_lines += 1
        is_told_of = self._read(event)
        if self._dropped or self.failure is not None:
            return b""
        replaced = None if self._assembly is None else self._assembly.on_event(event)
        told = self._identity.rewrite(line if replaced is None else replaced)
        self._is_named = self._is_named or _is_named(event)
        if not self._is_named:
            told = self._identity.named(told, event)
        if not is_told_of and not self._reads_all:
            self._learn_template(line, event, told)
        return told + b"\n"

    def _on_words(self, words: list[bytes], size: int) -> None:
        self.data_lines += len(words)
        self._unused_templates = 0
        self._text.add_unread(words, size)
        self._goes_on = True
        if self.usage is not None:
            self._outdate_usage()

    def _learn_template(self, line: bytes, event: Any, told: bytes) -> None:
        if self._unused_templates < _MOST_UNUSED:
            template = EventTemplate.of(line, event, told)
            if template is not None:
                self._template = template
                self._unused_templates += 1

    def _outdate_usage(self) -> None:
        """Take more words than were counted when usage was told: how many there are in the end, that does not say."""
        if self.usage is not None and self.usage.tokens_out is not None:
            self.usage = replace(self.usage, tokens_out=None)

    def _read(self, event: Any) -> bool:
        """Take an event (parsed); return whether it told of anything but words."""
        failure = account_of_event(event)
        if failure is not None or self._is_called_error:
            self.account = failure or Account(Ending.ARMS_FAULT, "answered with an error")
            self.failure = self.account.why
            return True
        if self._text.add(event):
            self._goes_on = True
            self._outdate_usage()
        if self._transcript is not None:
            self._transcript.add(event)
        reason, usage = parse_finish_reason(event), parse_reported_usage(event)
        self.finish_reason = reason or self.finish_reason
        self._goes_on = self._goes_on and not reason
        if usage is not None:
            self.usage = joined(self.usage, usage)
        counts = isinstance(event, dict) and isinstance(event.get("usage"), dict)
        if counts:
            self._dropped = not self._keep_usage and not event.get("choices")
        return bool(reason) or counts or usage is not None
