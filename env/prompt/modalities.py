"""What a conversation holds beside text, told from the parts of its messages: no part is decoded."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

MODALITIES: Final = ("image", "audio", "video", "file")
_DEEPEST = 4  # parts within parts: a tool's result may hold parts of its own
_NAMES: Final = {**{name: name for name in MODALITIES}, "document": "file"}
_LONGEST_TYPE = 64


def modality_of(part: Mapping[str, Any]) -> str | None:
    """Return the modality of a message's part, or None for text and for what nobody knows.

    `image_url`, `input_image`, `image`, `input_audio`, `audio_url`, `video_url`, `file`, `input_file`, `document` and
    their like: clients and servers agree on the noun, not on what stands around it. Where a part does not say its type,
    which vLLM allows, its keys do.
    """
    kind = part.get("type")
    if kind == "text":
        return None
    names = (kind,) if isinstance(kind, str) else tuple(part)[:8]
    return next((modality for name in names if (modality := _modality_in(name))), None)


def parts_of(content: object, *, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a message's content, those within other parts included, in order."""
    if not isinstance(content, list) or depth >= _DEEPEST:
        return
    for part in content:
        if isinstance(part, Mapping):
            yield part
            yield from parts_of(part.get("content"), depth=depth + 1)


def _modality_in(name: str) -> str | None:
    words = name[:_LONGEST_TYPE].lower().split("_")
    return next((_NAMES[word] for word in words if word in _NAMES), None)
