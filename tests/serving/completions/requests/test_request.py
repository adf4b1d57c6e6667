import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.serving.completions.requests.request import parse_chat, parse_completion
from highwayman.serving.feedback.body import parse_feedback
from highwayman.serving.http.validation import BadRequest

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KNOWN = st.sampled_from(
    ["model", "messages", "prompt", "stream", "max_tokens", "n", "tools", "temperature", "stream_options", "role",
     "content", "decision_id", "metric", "value", "source", "response_format"]
)  # fmt: skip


def chat(**more: Any) -> bytes:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **more}).encode()


BODIES = st.dictionaries(KNOWN, JSON_VALUES, max_size=6).map(lambda body: json.dumps(body).encode())


@given(st.binary(max_size=64) | BODIES)
def test_no_body_raises_anything_but_bad_request(raw: bytes) -> None:
    for parse in (parse_chat, parse_completion, parse_feedback):
        with contextlib.suppress(BadRequest):
            parse(raw)


def test_the_newest_user_message_is_what_is_asked() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": [{"type": "text", "text": "Second?"}, {"type": "image_url", "image_url": {}}]},
    ]
    query = parse_chat(json.dumps({"model": "auto", "messages": messages, "max_tokens": 5}).encode()).query
    assert (query.text, query.turns, query.images, query.max_tokens) == ("Second?", 4, 1, 5)
    assert query.prompt_chars == len("Be kind.First?Yes.Second?")


@pytest.mark.parametrize(
    ("prompt", "text", "plain"),
    [("Once upon", "Once upon", True), (["Once", "upon"], "Once\nupon", True), ([1, 2, 3], "", False)],
)
def test_a_prompt_is_read_whole_whether_it_is_one_text_several_or_none(prompt: Any, text: str, plain: bool) -> None:
    query = parse_completion(json.dumps({"model": "auto", "prompt": prompt, "max_tokens": 7}).encode()).query
    assert (query.text, query.plain_text, query.max_tokens) == (text, plain, 7)
    assert query.prompt_chars == len(text.replace("\n", ""))


def test_audio_in_an_earlier_message_is_seen() -> None:
    messages = [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]},
        {"role": "assistant", "content": "Heard."},
        {"role": "user", "content": "And now?"},
    ]
    assert parse_chat(json.dumps({"model": "auto", "messages": messages}).encode()).query.modalities == {"audio"}


def test_sixty_kilobytes_of_tools_are_no_five_tokens() -> None:
    tools = [{"type": "function", "function": {"name": f"t{k}", "description": "Looks up the weather. " * 20}}
             for k in range(120)]  # fmt: skip
    assert len(json.dumps(tools)) > 60_000
    assert 8_000 < (parse_chat(chat(tools=tools)).query.prompt_tokens or 0) < 20_000


def test_token_ids_count_as_what_they_are() -> None:
    query = parse_completion(json.dumps({"model": "auto", "prompt": [[1, 2, 3] * 1_000, [4]]}).encode()).query
    assert query.prompt_tokens == 3_001


def test_fields_the_router_does_not_know_are_kept() -> None:
    asked = parse_chat(chat(guided_json={"type": "object"}, top_k=5))
    assert (asked.body["guided_json"], asked.body["top_k"]) == ({"type": "object"}, 5)


def test_tools_and_json_mode_are_seen() -> None:
    query = parse_chat(chat(tools=[{"type": "function"}], response_format={"type": "json_object"})).query
    assert (query.tools, query.json_mode) == (1, True)


@pytest.mark.parametrize(
    ("prompt", "plain"), [("Once", True), (["Once", "Twice"], True), ([1, 2], False), ([[1]], False)]
)
def test_prompts_may_be_texts_or_token_ids(prompt: Any, plain: bool) -> None:
    query = parse_completion(json.dumps({"model": "auto", "prompt": prompt}).encode()).query
    assert query.plain_text is plain


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (chat(max_tokens=0), "max_tokens: must be greater than or equal to 1"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": 3}]}',
         "messages.0.content: must be a valid string, or must be a valid list"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "model: Field required"),
    ],
)  # fmt: skip
def test_a_message_says_where_and_what_would_be_right(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_chat(body)
    assert str(caught.value) == message


def test_a_misspelt_key_of_feedback_is_told_with_the_right_one() -> None:
    with pytest.raises(BadRequest, match=r"valeu: unknown key \(did you mean 'value'\?\)"):
        parse_feedback(b'{"decision_id": "x", "valeu": true}')


@given(st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
def test_nothing_of_the_input_is_echoed(secret: str) -> None:
    marked = f"zq{secret}qz"
    with pytest.raises(BadRequest) as caught:
        parse_chat(json.dumps({"model": "auto", "messages": marked}).encode())
    assert marked not in str(caught.value)


def test_the_images_of_all_messages_are_read_in_order_and_one_at_an_address_is_not_fetched() -> None:
    def part(url: str) -> dict[str, object]:
        return {"type": "image_url", "image_url": {"url": url}}

    messages = [
        {"role": "user", "content": [part("data:image/png;base64,AAAA"), {"type": "text", "text": "First?"}]},
        {"role": "assistant", "content": "A dot."},
        {"role": "user", "content": [part("https://example.org/b.png"), part("data:image/jpeg;base64,BBBB")]},
    ]
    query = parse_chat(json.dumps({"model": "auto", "messages": messages}).encode()).query
    assert query.pictures == ("AAAA", "", "BBBB")
    assert "AAAA" not in repr(query)
    assert parse_chat(json.dumps({"model": "auto", "messages": messages[1:2]}).encode()).query.pictures == ()


@pytest.mark.parametrize(
    ("asked", "answers"),
    [({}, 1), ({"n": 3}, 3), ({"prompt": ["a", "b"]}, 2), ({"prompt": ["a", "b"], "n": 2, "best_of": 4}, 8),
     ({"prompt": [1, 2, 3]}, 1), ({"prompt": [[1], [2]]}, 2), ({"best_of": "x"}, 1)],
)  # fmt: skip
def test_the_answers_that_are_paid_for_are_counted(asked: dict[str, Any], answers: int) -> None:
    assert parse_completion(json.dumps({"model": "auto", "prompt": "Hi", **asked}).encode()).query.answers == answers
    if "prompt" not in asked:
        assert parse_chat(chat(**asked)).query.answers == answers
