"""What others wrote, shut in: between marks nobody could know before."""

import re
from collections.abc import Callable, Iterable, Mapping

from highwayman.env.types import Messages

_MARK_BYTES = 8
_MOST_TRIES = 8


def new_delimiter(texts: Iterable[str], entropy: Callable[[int], bytes]) -> str:
    """Return a mark that occurs in none of the texts. Raises ValueError if `entropy` keeps giving one that does."""
    held = tuple(texts)
    for _ in range(_MOST_TRIES):
        mark = entropy(_MARK_BYTES).hex()
        if not any(mark in text for text in held):
            return mark
    raise ValueError("entropy gives marks that the texts already hold")


def fenced(title: str, text: str, mark: str) -> str:
    """Return a text between marks."""
    return f"<{title} {mark}>\n{text}\n</{title} {mark}>"


def conversation_tail(messages: Messages, most_chars: int) -> str:
    """Return a conversation as text, its newest part if it is longer than that."""
    text = "\n\n".join(f"[{message.get('role', '')}] {_text(message)}" for message in messages)
    left_out = len(text) - most_chars
    return text if left_out <= 0 else f"[{left_out} characters left out] ...{text[left_out:]}"


def truncate_middle(text: str, most_chars: int) -> str:
    """Return a text, without its middle if it is longer than that."""
    left_out = len(text) - most_chars
    if left_out <= 0:
        return text
    head = most_chars - most_chars // 2
    return f"{text[:head]}... [{left_out} characters left out] ...{text[head + left_out :]}"


def _text(message: Mapping[str, object]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content] if isinstance(content, list) else []
    calls = message.get("tool_calls")
    return "\n".join([*parts, *(_call(call) for call in (calls if isinstance(calls, list) else ()))])


def _part(part: object) -> str:
    if not isinstance(part, dict):
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type', '')}]"


def _call(call: object) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    return f"[calls {function.get('name', '')}]" if isinstance(function, dict) else ""


# Read loosely on purpose: what is caught by mistake is one answer not judged, what slips through may be believed.
_TO_A_JUDGE = re.compile(
    r"\b(?:rate|score|grade|mark|judge)\s+(?:this|it|me|my|the\s+(?:answer|response|above))\b"
    r"|\bgive\s+(?:this|it|me|my\s+answer|the\s+(?:answer|response))\s+(?:an?\s+)?(?:\d|full|perfect|top|high|maximum)"
    r"|[\"']?\b(?:score|rating|grade)[\"']?\s*[:=]\s*[\"']?\d"
    r"|\b(?:as|to|dear|attention|note\s+to)\s+(?:an?\s+|the\s+|any\s+)?(?:judge|grader|evaluator|rater)\b"
    r"|\b(?:ignore|disregard|forget|override)\b[^.\n]{0,30}\b(?:above|previous|prior|earlier|instructions?|rubric)\b"
    r"|</?(?:conversation|answer|reference|system|data)(?:\s[^>\n]{0,80})?>",
    re.IGNORECASE,
)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")  # put between letters to hide a word


def looks_like_injection(answer: str) -> bool:
    """Return whether an answer asks for a score, feigns one, or feigns what encloses it."""
    return _TO_A_JUDGE.search(_UNSEEN.sub("", answer)) is not None
