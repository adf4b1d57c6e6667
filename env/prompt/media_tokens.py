"""About how many tokens images, audio, video and files are, from the first bytes of what is sent along.

Nothing is decoded or fetched. What a model makes of them differs from model to model: these are the rules that vendors
publish, and guesses where there is none; how far an arm is off is learned from the usage that it reports.
"""

import base64
import math
from collections.abc import Mapping
from typing import Any, Final

from highwayman.env.prompt.image_size import image_size

IMAGE_TOKENS: Final = 85  # OpenAI's rule for an image of low detail, and the base of any other
TILE_TOKENS: Final = 170  # for each tile of 512 by 512 pixels
_TILE, _LONGEST_SIDE, _SHORTEST_SIDE = 512, 2048, 768
_UNKNOWN_SIZE = 1024, 1024  # pixels: of an image that only its address is known of
_TOKENS_PER_AUDIO_S = 12.5  # audio encoders give 6 (Ultravox), 10 (OpenAI), 12.5 (Voxtral), 25 (Qwen) or 32 (Gemini)
_UNKNOWN_AUDIO_S = 30.0
_AUDIO_BYTES_PER_S: Final = {"wav": 32_000, "pcm16": 48_000, "flac": 60_000, "opus": 4_000, "ogg": 8_000}
_MP3_BYTES_PER_S = 16_000  # and of other formats that are not named here
_VIDEO_BYTES_PER_TOKEN = 400  # a megabit and 300 tokens a second
_UNKNOWN_VIDEO_TOKENS = 5_000
_FILE_BYTES_PER_TOKEN = 32  # of a PDF: its pages are text and pictures, and more bytes than either
_TEXT_BYTES_PER_TOKEN = 4
_UNKNOWN_FILE_TOKENS = 1_500  # two pages
_HEAD_CHARS = 349_528  # of base64 are read: 256 KiB, more than stands before the size in any camera's JPEG


def media_tokens(part: Mapping[str, Any], modality: str) -> int:
    """Return about how many tokens a part of this modality is, at least 1."""
    if modality == "image":
        return _image_tokens(part)
    kind, payload = _payload(part)
    if modality == "audio":
        return max(1, math.ceil(_audio_s(kind, payload) * _TOKENS_PER_AUDIO_S))
    size = _decoded_size(payload)
    if modality == "video":
        return max(1, size // _VIDEO_BYTES_PER_TOKEN) if payload else _UNKNOWN_VIDEO_TOKENS
    per_token = _TEXT_BYTES_PER_TOKEN if kind.startswith("text/") else _FILE_BYTES_PER_TOKEN
    return max(1, size // per_token) if payload else _UNKNOWN_FILE_TOKENS


def image_payload(part: Mapping[str, Any]) -> str:
    """Return the base64 of an image's part, empty where it only refers to the image."""
    return _payload(part)[1]


def tile_tokens(width: int, height: int) -> int:
    """Return the tokens of an image of high detail by OpenAI's rule; sizes in pixels.

    It is scaled to fit into 2048 by 2048, then so that its shorter side has 768 at most, and cut into tiles.
    """
    scale = min(1.0, _LONGEST_SIDE / max(width, height))
    scale = min(scale, _SHORTEST_SIDE / max(1, min(width, height)))
    tiles = math.ceil(max(1.0, width * scale) / _TILE) * math.ceil(max(1.0, height * scale) / _TILE)
    return IMAGE_TOKENS + TILE_TOKENS * tiles


def _image_tokens(part: Mapping[str, Any]) -> int:
    inner = part.get("image_url")
    detail = inner.get("detail") if isinstance(inner, Mapping) else part.get("detail")
    if detail == "low":
        return IMAGE_TOKENS
    _, payload = _payload(part)
    return tile_tokens(*((image_size(_decoded_head(payload)) if payload else None) or _UNKNOWN_SIZE))


def _audio_s(kind: str, payload: str) -> float:
    """Return about how many seconds audio lasts."""
    if not payload:
        return _UNKNOWN_AUDIO_S
    size, head = _decoded_size(payload), _decoded_head(payload[:4_096])
    at = head.find(b"fmt ") if head[:4] == b"RIFF" else -1
    rate = int.from_bytes(head[at + 16 : at + 20], "little") if at > 0 else 0  # bytes a second, as a WAV's head says
    name = kind.rpartition("/")[2].removeprefix("x-")
    return size / (rate or _AUDIO_BYTES_PER_S.get(name, _MP3_BYTES_PER_S))


def _payload(part: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind (a media type or a format's name) and the base64 of what a part holds; empty: it only refers.

    Read are `{"x_url": {"url": "data:..."}}`, `{"x_url": "data:..."}`, `{"input_audio": {"data", "format"}}`,
    `{"file": {"file_data": "data:..."}}` and `{"source": {"data", "media_type"}}`.
    """
    for holder in (part, *(value for value in list(part.values())[:16] if isinstance(value, Mapping))):
        kind = next((kind for key in ("format", "media_type") if isinstance(kind := holder.get(key), str)), "")
        for key, value in list(holder.items())[:16]:
            if not isinstance(value, str):
                continue
            if value.startswith("data:"):
                head, _, payload = value.partition(",")
                return head[5:].partition(";")[0][:64].lower(), payload
            if key in ("data", "file_data", "base64", "image_embeds", "audio_embeds"):
                return kind[:64].lower(), value
    return "", ""


def _decoded_size(payload: str) -> int:
    return len(payload) * 3 // 4


def _decoded_head(payload: str) -> bytes:
    """Return the first bytes of what base64 stands for; none if it does not."""
    head = payload[:_HEAD_CHARS]
    try:
        return base64.b64decode(head[: len(head) // 4 * 4])
    except ValueError:
        return b""
