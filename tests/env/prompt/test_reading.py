import json
import time
from typing import Any

import pytest

from highwayman.env.prompt.reading import read_chat, read_completion
from highwayman.env.prompt.text_tokens import estimate_text_tokens

HELLO = {"role": "user", "content": "Hello"}


def tokens(*messages: dict[str, Any], **body: Any) -> int:
    return read_chat({"messages": [*messages] or [HELLO], **body}).tokens


def tool(k: int) -> dict[str, Any]:
    words = "The name of the city whose weather is asked for, as people there write it. "
    parameters = {"type": "object", "properties": {"city": {"type": "string", "description": words * 2}}}
    return {"type": "function", "function": {"name": f"weather_{k}", "description": words, "parameters": parameters}}


def test_sixty_kilobytes_of_tools_are_no_five_tokens() -> None:
    tools = [tool(k) for k in range(170)]
    size = len(json.dumps(tools))
    assert size > 60_000
    assert size / 6 < tokens(tools=tools) < size / 3


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content", "thinking", "refusal"])
def test_what_an_earlier_answer_says_beside_its_content_counts(key: str) -> None:
    said = "Let me think about it. " * 100
    with_it = tokens(HELLO, {"role": "assistant", "content": None, key: said}, HELLO)
    assert with_it - tokens(HELLO, {"role": "assistant", "content": None}, HELLO) == pytest.approx(
        estimate_text_tokens(said).tokens, rel=0.05
    )


@pytest.mark.parametrize("key", ["function", "custom"])
def test_the_arguments_of_earlier_calls_count(key: str) -> None:
    arguments = json.dumps({"query": "the history of the longbow " * 200})
    call = {"id": "1", "type": key, key: {"name": "search", "arguments": arguments}}
    assert tokens(HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}) > 1_000


def test_a_schema_that_the_answer_must_keep_to_counts() -> None:
    schema = {"name": "city", "schema": tool(0)["function"]["parameters"]}
    assert tokens(response_format={"type": "json_schema", "json_schema": schema}) > tokens() + 40


def test_every_message_counts_in_its_own_script() -> None:
    chinese, english = "今天天气很好" * 500, "weather" * 429  # 3,000 characters each
    assert tokens({"role": "user", "content": chinese}, HELLO) > 3 * tokens({"role": "user", "content": english}, HELLO)


def test_what_a_tool_brought_counts_whole_or_in_parts() -> None:
    result = "It rains in Nottingham. " * 100
    whole = tokens(HELLO, {"role": "tool", "content": result})
    assert whole > 500
    assert tokens(HELLO, {"role": "tool", "content": [{"type": "text", "text": result}]}) == whole
    nested = [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": result}]}]
    assert tokens(HELLO, {"role": "user", "content": nested}) == pytest.approx(whole, rel=0.05)


def test_the_bytes_of_an_image_are_not_counted_as_text() -> None:
    url = "data:image/png;base64," + "iVBOR" * 100_000
    assert tokens({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}) < 1_000


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ([1] * 5_000, 5_000),
        ([[1] * 5_000, [2] * 100], 5_100),
        (["token " * 1_000, "token " * 1_000], 2_200),
        ("token " * 1_000, 1_100),
    ],
)
def test_token_ids_count_as_what_they_are_and_every_prompt_of_several_is_read(prompt: Any, read: int) -> None:
    assert read_completion({"prompt": prompt}).tokens == pytest.approx(read, rel=0.1)


@pytest.mark.parametrize(
    "odd",
    [
        {"tool_calls": 1}, {"tool_calls": [1, None, {}]}, {"tool_calls": [{"function": None}]}, {"content": [[]]},
        {"content": [{"type": "text", "text": 5}]}, {"name": 3}, {"reasoning": ["a"]},
        {"content": [{"type": "image_url"}]},
        {"content": [{"type": "file", "file": None}]}, {"content": [{"type": "input_audio", "input_audio": []}]},
    ],
)  # fmt: skip
def test_what_nobody_should_send_is_counted_without_an_error(odd: dict[str, Any]) -> None:
    assert tokens({"role": "assistant", **odd}) >= 1


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "aB1 " * 4_000_000}],
        [{"role": "user", "content": "x"}] * 400_000,
        [{"role": "user", "content": [{"type": "text", "text": "x"}] * 500_000}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": "data:,AAAA"}] * 200_000}],
        [{"role": "user", "content": "{{{{" * 4_000_000}],
    ],
    ids=["one", "messages", "parts", "images", "signs"],
)
def test_a_large_body_takes_no_more_than_its_size_is_worth(messages: list[dict[str, Any]]) -> None:
    started = time.process_time()
    read_chat({"messages": messages})
    assert time.process_time() - started < 6.0  # of 16 MB; about a second on an ordinary core
