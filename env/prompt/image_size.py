"""The width and height of an image, from its first bytes: PNG, GIF, JPEG, WebP."""

_NO_SIZE = frozenset({0xC4, 0xC8, 0xCC})  # JPEG markers between C0 and CF that begin no frame
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # JPEG markers without a length


def image_size(head: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels, both at least 1; None where the bytes do not say."""
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    elif head[:6] in (b"GIF87a", b"GIF89a"):
        size = _little(head, 6, 2), _little(head, 8, 2)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        size = _webp_size(head)
    elif head[:2] == b"\xff\xd8":
        size = _jpeg_size(head)
    else:
        return None
    return size if min(size) > 0 else None


def _webp_size(head: bytes) -> tuple[int, int]:
    kind = head[12:16]
    if kind == b"VP8X":
        return _little(head, 24, 3) + 1, _little(head, 27, 3) + 1
    if kind == b"VP8L":
        bits = _little(head, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF


def _jpeg_size(head: bytes) -> tuple[int, int]:
    """Return the size in the first frame's head, leaping from segment to segment; zeros where there is none."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF or marker in _BARE:  # padding, or nothing to leap over
            at += 1 if marker == 0xFF else 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return 0, 0


def _little(head: bytes, at: int, size: int) -> int:
    return int.from_bytes(head[at : at + size], "little")
