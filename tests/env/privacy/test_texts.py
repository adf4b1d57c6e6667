"""Every text of a body is read, wherever it stands."""

import pytest

from highwayman.env.privacy.texts import replaced, texts_of

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SCHEMA = {"type": "object", "properties": {"image_url": {"type": "string", "description": "CANARY"}}}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "CANARY"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "CANARY"}]}]},
        {"messages": [{"role": "tool", "content": [{"type": "tool_result", "content": [{"text": "CANARY"}]}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "CANARY"}}]}]},
        {"messages": [], "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
        {"messages": [], "tools": [{"function": {"parameters": {"properties": {"CANARY": {}}}}}]},
        {"messages": [], "response_format": {"json_schema": {"schema": {"enum": ["CANARY"]}}}},
        {"messages": [], "metadata": {"note": "CANARY"}},
        {"messages": [], "user": "CANARY"},
        {"prompt": ["x", "CANARY"]},
        {"prompt": "x", "suffix": "CANARY"},
    ],
)
def test_a_text_is_read_in_whatever_field_it_stands(body: dict[str, object]) -> None:
    texts = texts_of(body)
    assert "CANARY" in texts.text.split("\n")
    assert not texts.has_unread


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [IMAGE]}]},
        {"messages": [{"role": "user", "content": [{"image_url": "https://example.org/a.png"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"data": "AAAA"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]}]},
        {"prompt": [1, 2, 3]},
        {"prompt": [[1, 2], [3]]},
    ],
)
def test_what_cannot_be_read_is_told(body: dict[str, object]) -> None:
    assert texts_of(body).has_unread


def test_long_numbers_are_read_and_left_alone() -> None:
    body = {"messages": [], "metadata": {"card": 4111111111111111}}
    assert "4111111111111111" in texts_of(body).text
    assert replaced(body, lambda text: "x") == body
