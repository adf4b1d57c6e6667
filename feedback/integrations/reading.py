"""What adapters read of untrusted bodies."""

import hashlib
import uuid

from highwayman.env.errors import InvalidFeedback
from highwayman.env.metric import LONGEST_TEXT
from highwayman.env.types import JsonObject


def text_field(whole: JsonObject, key: str, *, of: str = "") -> str:
    """Return a text of an object, empty where there is none. Raises InvalidFeedback naming what is no text."""
    text = whole.get(key)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise InvalidFeedback(f"{of}{key} must be text of at most {LONGEST_TEXT} characters")
    return text


def derived_id(*parts: str) -> str:
    """Return a UUID for a statement that its sender gave none: the same for the same parts."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))
