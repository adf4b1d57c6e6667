from typing import Any

import pytest

from highwayman.env.prompt.modalities import modality_of
from highwayman.env.prompt.reading import read_chat


@pytest.mark.parametrize(
    ("part", "modality"),
    [
        ({"type": "text", "text": "an image_url"}, None),
        ({"type": "image_url", "image_url": {"url": "https://h/a.png"}}, "image"),
        ({"type": "input_image", "image_url": "https://h/a.png"}, "image"),
        ({"type": "image", "source": {"type": "base64", "data": "AAAA"}}, "image"),
        ({"type": "image_embeds", "image_embeds": "AAAA"}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
        ({"type": "audio_url", "audio_url": {"url": "https://h/a.mp3"}}, "audio"),
        ({"type": "video_url", "video_url": {"url": "https://h/a.mp4"}}, "video"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file"),
        ({"type": "input_file", "file_id": "file-1"}, "file"),
        ({"type": "document", "source": {}}, "file"),
        ({"image_url": "https://h/a.png"}, "image"),  # vLLM takes a part that does not say its type
        ({"type": "refusal", "refusal": "No."}, None),
        ({"type": 7}, None),
        ({}, None),
    ],
)
def test_a_parts_modality_is_told_from_its_type_or_its_keys(part: dict[str, Any], modality: str | None) -> None:
    assert modality_of(part) == modality


def modalities_of(messages: list[dict[str, Any]]) -> frozenset[str]:
    return read_chat({"messages": messages}).modalities


def test_the_oldest_message_counts_as_much_as_the_newest() -> None:
    messages = [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {"role": "assistant", "content": "Heard."},
        {"role": "user", "content": [{"type": "text", "text": "And now?"}]},
    ]
    assert modalities_of(messages) == {"audio"}


def test_what_a_tool_brought_counts_and_so_does_an_answer_that_was_spoken() -> None:
    result = {"type": "tool_result", "content": [{"type": "image", "source": {}}]}
    assert modalities_of([{"role": "user", "content": [result]}]) == {"image"}
    assert modalities_of([{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}]) == {"audio"}


def test_parts_within_parts_end_somewhere() -> None:
    part: dict[str, Any] = {"type": "image"}
    for _ in range(10_000):
        part = {"type": "tool_result", "content": [part]}
    assert modalities_of([{"role": "user", "content": [part]}]) == frozenset()
