"""Every text of a request's body: what goes to an arm, wherever in the body it stands."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from highwayman.env.prompt.modalities import modality_of

_LONG_NUMBER = 10_000_000  # shorter ones are nobody's
_IDS = ("prompt", "input")  # fields that may be token ids
_MEDIA = ("image_url", "input_audio", "audio_url", "video_url")  # keys that vLLM takes without a type


class BodyTexts(NamedTuple):
    """What can be read of a body, and whether it holds something that cannot."""

    text: str  # all texts, keys and long numbers, a line each
    has_unread: bool  # images, sound, files, token ids


def texts_of(body: Mapping[str, Any]) -> BodyTexts:
    """Return the texts of a body: of all its fields, since all of them go to whoever answers."""
    texts: list[str] = []
    has_unread = _gather(body, texts) or any(_is_of_ids(body[name]) for name in _IDS if name in body)
    return BodyTexts("\n".join(texts), has_unread)


def replaced(body: Mapping[str, Any], replace: Callable[[str], str]) -> dict[str, Any]:
    """Return a body each of whose texts is what `replace` makes of it; keys, numbers and media are left alone."""
    return {key: _replaced(value, replace) for key, value in body.items()}


def _gather(value: Any, texts: list[str]) -> bool:
    """Append all texts in a value; return whether there is something in it that is none."""
    has_unread, left = False, [value]
    while left:
        value = left.pop()
        if type(value) is str:
            texts.append(value)
        elif type(value) is dict:
            if _is_medium(value):
                has_unread = True
                continue
            texts += value
            left += value.values()
        elif type(value) is list:
            left += value
        elif type(value) is int and abs(value) >= _LONG_NUMBER:
            texts.append(str(value))
    return has_unread


def _is_of_ids(value: Any) -> bool:
    """Return whether a prompt, or one of several, is token ids, which nobody can read here."""
    return isinstance(value, list) and any(not isinstance(part, str | dict) for part in value)


def _is_medium(part: Mapping[str, Any]) -> bool:
    """Return whether an object is a part of a message that is not text, and carries it or says where it lies."""
    kind = part.get("type")
    if type(kind) is str:
        return (kind in part or "source" in part) and modality_of(part) is not None
    return any(_is_address(part[key]) for key in _MEDIA if key in part)


def _is_address(value: Any) -> bool:
    """Return whether it is where a medium lies, not what a tool's schema says of such an argument."""
    return isinstance(value, str) or (isinstance(value, dict) and ("url" in value or "data" in value))


def _replaced(value: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, dict):
        return value if _is_medium(value) else {key: _replaced(part, replace) for key, part in value.items()}
    return [_replaced(part, replace) for part in value] if isinstance(value, list) else value
