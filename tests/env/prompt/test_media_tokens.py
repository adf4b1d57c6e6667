import base64
import io
import struct
import wave
from typing import Any

import pytest

from highwayman.env.prompt.image_size import image_size
from highwayman.env.prompt.media_tokens import media_tokens, tile_tokens

Image = pytest.importorskip("PIL.Image")


def encoded(form: str, size: tuple[int, int], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, form, **options)
    return file.getvalue()


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "exif": b"Exif\x00\x00" + bytes(60_000), "icc_profile": bytes(100_000)}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"lossless": False}),
        ("WEBP", {"exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"}),
    ],
)
def test_an_images_size_is_read_from_its_first_bytes(form: str, options: dict[str, Any]) -> None:
    assert image_size(encoded(form, (321, 123), **options)[:262_144]) == (321, 123)


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\x00\x00" * 9, b"RIFF____WEBP", b"\x89PNG\r\n\x1a\n", b"<svg>", b"\xff" * 99],
)
def test_bytes_that_do_not_say_have_no_size(head: bytes) -> None:
    assert image_size(head) is None or min(image_size(head) or ()) >= 1


@pytest.mark.parametrize(
    ("size", "tokens"),  # OpenAI's own examples: 4 tiles, 6 tiles
    [((1024, 1024), 765), ((2048, 4096), 1105), ((512, 512), 255), ((10, 10), 255), ((1, 60_000), 765)],
)
def test_an_image_costs_its_tiles(size: tuple[int, int], tokens: int) -> None:
    assert tile_tokens(*size) == tokens


@pytest.mark.parametrize(
    ("image_url", "tokens"),
    [
        ({"url": data_url("image/png", encoded("PNG", (2048, 4096)))}, 1105),
        ({"url": data_url("image/png", encoded("PNG", (2048, 4096))), "detail": "low"}, 85),
        (data_url("image/jpeg", encoded("JPEG", (512, 512))), 255),
        ({"url": "https://h/a.png"}, 765),
        ({"url": "data:image/png;base64,!!!!"}, 765),
        ({}, 765),
        (None, 765),
    ],
)
def test_images_are_counted_by_size_and_detail(image_url: object, tokens: int) -> None:
    assert media_tokens({"type": "image_url", "image_url": image_url}, "image") == tokens


def wav(seconds: float, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(int(seconds * rate) * 2))
    return file.getvalue()


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_audio_is_counted_by_its_length_whatever_its_rate(rate: int) -> None:
    data = base64.b64encode(wav(60.0, rate)).decode()
    tokens = media_tokens({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}, "audio")
    assert tokens == pytest.approx(60 * 12.5, rel=0.01)


def test_audio_of_other_formats_is_counted_by_its_bytes() -> None:
    mp3 = base64.b64encode(bytes(159_999)).decode()  # ten seconds at 128 kbit/s
    assert media_tokens({"type": "input_audio", "input_audio": {"data": mp3, "format": "mp3"}}, "audio") == 125
    opus = data_url("audio/opus", bytes(39_999))
    assert media_tokens({"type": "audio_url", "audio_url": {"url": opus}}, "audio") == 125


def test_a_wav_that_lies_about_its_rate_is_no_error() -> None:
    broken = wav(1.0)[:28] + struct.pack("<I", 0) + wav(1.0)[32:]
    part = {"type": "input_audio", "input_audio": {"data": base64.b64encode(broken).decode(), "format": "wav"}}
    assert media_tokens(part, "audio") >= 1


def test_a_file_of_text_counts_more_to_a_byte_than_one_of_pages() -> None:
    text = {"type": "file", "file": {"file_data": data_url("text/plain", bytes(64_000)), "filename": "a.txt"}}
    pages = {"type": "file", "file": {"file_data": data_url("application/pdf", bytes(64_000))}}
    assert (media_tokens(text, "file"), media_tokens(pages, "file")) == (16_000, 2_000)
    assert media_tokens({"type": "file", "file": {"file_id": "file-1"}}, "file") == 1_500


def test_a_video_counts_by_its_bytes_where_they_are_sent_along() -> None:
    sent = {"type": "video_url", "video_url": {"url": data_url("video/mp4", bytes(400_000))}}
    assert media_tokens(sent, "video") == 1_000
    assert media_tokens({"type": "video_url", "video_url": {"url": "https://h/a.mp4"}}, "video") == 5_000
