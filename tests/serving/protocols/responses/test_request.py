"""From a Responses request to a chat's: what a coding agent sends, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from highwayman.serving.completions.requests.request import parse_chat
from highwayman.serving.http.validation import DEFAULT_LIMITS, BadRequest
from highwayman.serving.protocols.protocol import TranslatedRequest
from highwayman.serving.protocols.responses.request import translate

AGENT = Path(__file__).parents[1] / "fixtures" / "responses_agent.json"
SHELL = {"type": "function", "name": "shell", "parameters": {"type": "object"}}
PATCH = {"type": "custom", "name": "apply_patch"}
SEARCH = {"type": "web_search"}


def asked(**more: Any) -> TranslatedRequest:
    return translate(json.dumps({"model": "auto", "input": "hi", **more}).encode(), DEFAULT_LIMITS)


def test_what_a_coding_agent_sends_is_a_chat_with_its_calls_results_and_pictures() -> None:
    request = translate(AGENT.read_bytes(), DEFAULT_LIMITS)
    chat = request.chat
    assert [message["role"] for message in chat["messages"]] == (
        ["system", "user", "user", "assistant", "tool", "tool", "user", "assistant", "tool"]
    )
    system, _, typo, answer, readme, logo, picture, patch, done = chat["messages"]
    assert system["content"] == "You are a coding agent in a terminal.\n\nAsk before you delete."
    assert typo["content"] == "Fix the typo in README.md."
    assert answer["content"] == "I look first."
    assert [call["id"] for call in answer["tool_calls"]] == ["call_1", "call_2"]
    assert readme == {"role": "tool", "tool_call_id": "call_1", "content": "# Ap\n"}
    assert logo["content"] == "a picture"
    assert picture["content"][0]["image_url"]["url"].startswith("data:image/png")
    assert json.loads(patch["tool_calls"][0]["function"]["arguments"]) == {"input": "*** Begin Patch"}
    assert done == {"role": "tool", "tool_call_id": "call_3", "content": "Done!"}
    shell, patcher = (tool["function"] for tool in chat["tools"])
    assert shell["parameters"]["properties"]["command"]["type"] == "array"
    assert patcher["description"] == "Edits files.\n\nstart: begin_patch"
    assert patcher["parameters"]["required"] == ["input"]
    assert (chat["tool_choice"], chat["parallel_tool_calls"]) == ("auto", False)
    assert chat["prompt_cache_key"].startswith("0199a213")
    assert request.left_out == (
        *("client_metadata", "include", "input.reasoning", "reasoning", "text.verbosity"),
        *("tools.namespace", "tools.web_search"),
    )


def test_what_a_coding_agent_sends_is_read_as_a_chat_by_the_router() -> None:
    chat = translate(AGENT.read_bytes(), DEFAULT_LIMITS).chat
    request = parse_chat(json.dumps(chat).encode(), DEFAULT_LIMITS)
    assert (request.query.tools, request.query.images, request.query.in_tool_loop) == (2, 1, True)
    assert request.wants_usage


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ("hi", [{"role": "user", "content": "hi"}]),
        ([{"role": "user", "content": "hi"}], [{"role": "user", "content": "hi"}]),
        (
            [{"role": "system", "content": "be"}, {"role": "user", "content": [{"type": "input_text", "text": "a"}]}],
            [{"role": "system", "content": "be"}, {"role": "user", "content": "a"}],
        ),
        (
            [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}],
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                }
            ],
        ),
    ],
)
def test_input_is_a_text_or_items(given: Any, messages: Any) -> None:
    assert asked(input=given).chat["messages"] == messages


@pytest.mark.parametrize(
    ("choice", "chosen", "offered"),
    [
        ("required", "required", ["shell", "apply_patch"]),
        (
            {"type": "custom", "name": "apply_patch"},
            {"type": "function", "function": {"name": "apply_patch"}},
            ["shell", "apply_patch"],
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "shell"}]},
            "required",
            ["shell"],
        ),
    ],
)
def test_a_choice_of_tools_means_the_same(choice: Any, chosen: Any, offered: list[str]) -> None:
    chat = asked(tools=[SHELL, PATCH, SEARCH], tool_choice=choice).chat
    assert chat["tool_choice"] == chosen
    assert [tool["function"]["name"] for tool in chat["tools"]] == offered


def test_a_schema_and_a_limit_are_carried_over() -> None:
    form = {"type": "json_schema", "name": "point", "schema": {"type": "object"}, "strict": True}
    chat = asked(text={"format": form}, max_output_tokens=9).chat
    assert chat["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "point", "schema": {"type": "object"}, "strict": True},
    }
    assert chat["max_tokens"] == 9
    assert "response_format" not in asked(text={"format": {"type": "text"}}).chat


@pytest.mark.parametrize(
    ("more", "param", "says"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "Send the whole conversation in `input`"),
        ({"conversation": "conv_1"}, "conversation", "keeps no answers"),
        ({"background": True}, "background", "at once"),
        ({"input": None}, "input", "Field required"),
        ({"input": []}, "input", "at least one message"),
        ({"input": [{"role": "judge", "content": ""}]}, "input.0.role", "user, assistant, system or developer"),
        ({"input": [{"type": "item_reference", "id": "rs_1"}]}, "input.0", "send the item itself"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
         "input.0.content.0", "no files are kept"),
        ({"instructions": 1}, "instructions", "must be a string"),
        ({"tools": [SEARCH]}, "tools", "runs at OpenAI"),
        ({"tools": [SHELL, SEARCH], "tool_choice": SEARCH}, "tools", "runs at OpenAI"),
        ({"tools": [SHELL], "tool_choice": "maybe"}, "tool_choice", "auto, none, required"),
        ({"text": {"format": {"type": "xml"}}}, "text.format", "json_schema"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused_by_name(more: Any, param: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        asked(**more)
    assert refused.value.param == param
