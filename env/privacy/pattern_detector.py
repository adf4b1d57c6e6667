"""Detects by patterns: what is well known by its shape, most of it by a checksum as well. No model, no download.

What patterns miss (names, addresses, what is spelled out or encoded) is told in docs/how-to/privacy.md.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from highwayman.env.privacy.detector import Detection
from highwayman.env.privacy.patterns.contacts import emails, phones
from highwayman.env.privacy.patterns.credentials import credentials, passwords, private_keys
from highwayman.env.privacy.patterns.digit_runs import digit_runs
from highwayman.env.privacy.patterns.national_ids import lettered_ids, numbered_ids
from highwayman.env.privacy.patterns.payment import ibans, payment_cards

_WINDOW_CHARS: Final = 65_536  # looked at at a time: no expression holds the interpreter for long
_OVERLAP_CHARS: Final = 20_480  # of two windows: the longest that is detected is a private key
_BEFORE_CHARS: Final = 256
_DIGITS: Final = re.compile(r"[0-9]{2}")
_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[\"\\/bfnrt])")
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")  # signs that take no room


class PatternDetector:
    """Knows payment cards, IBANs, national ids, keys and tokens, private keys, e-mail, telephone numbers."""

    inline = True

    def detect(self, text: str) -> list[Detection]:
        """Return what is confidential in a text, in time linear in its length.

        Where it is written in signs that look alike, or as JSON writes a text within a text, it is detected all the
        same; the stretch is then all of the text, as nothing shorter of it can be taken out.
        """
        detections = _in_window(text) if len(text) <= _WINDOW_CHARS else list(_in_windows(text))
        if text.isascii() and "\\" not in text:
            return detections
        known = {detection.kind for detection in detections}
        for form in _other_forms(text):
            for detection in _in_windows(form):
                if detection.kind not in known:
                    detections.append(Detection(detection.kind, detection.data_class, 0, len(text)))
        return detections


def _other_forms(text: str) -> Iterator[str]:
    """Yield how a text reads to who decodes it further."""
    if "\\" in text:
        yield _ESCAPE.sub(_unescaped, text)
    if not text.isascii():
        plain = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
        if plain != text:
            yield plain


def _unescaped(match: re.Match[str]) -> str:
    escape = match[0]
    return chr(int(escape[2:], 16)) if escape[1] == "u" else _ESCAPED[escape[1]]


def _in_windows(text: str) -> Iterator[Detection]:
    """Yield what stands in a text, of which no window is looked at for long."""
    for start in range(0, len(text), _WINDOW_CHARS):
        begin = max(start - _BEFORE_CHARS, 0)  # what the window before has cut stands whole in one of the two
        for detection in _in_window(text[begin : start + _WINDOW_CHARS + _OVERLAP_CHARS]):
            yield Detection(detection.kind, detection.data_class, detection.start + begin, detection.end + begin)


def _in_window(text: str) -> list[Detection]:
    """Return what stands in a text. Whatever needs digits, an @ and so on is looked for only where there is one."""
    detections = credentials(text)
    if "@" in text:
        detections += emails(text)
        if "://" in text:
            detections += passwords(text)
    if "PRIVATE KEY" in text:
        detections += private_keys(text)
    if _DIGITS.search(text) is not None:
        detections += lettered_ids(text)
        runs = digit_runs(text)
        if runs:
            detections += payment_cards(runs)
            detections += ibans(text)
            detections += numbered_ids(text, runs)
            detections += phones(text, runs)
    return detections
