"""From Anthropic's requests to a chat's: what a coding agent sends, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from highwayman.serving.completions.requests.request import parse_chat
from highwayman.serving.http.validation import DEFAULT_LIMITS, BadRequest
from highwayman.serving.protocols.messages.request import translate, translated
from highwayman.serving.protocols.protocol import TranslatedRequest

AGENT = Path(__file__).parents[1] / "fixtures" / "messages_agent.json"
READ = {"name": "Read", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def asked(**more: Any) -> TranslatedRequest:
    body = {"model": "auto", "max_tokens": 16, "messages": [{"role": "user", "content": "hi"}], **more}
    return translate(json.dumps(body).encode(), DEFAULT_LIMITS)


def test_what_a_coding_agent_sends_is_a_chat_with_its_tools_results_and_pictures() -> None:
    request = translate(AGENT.read_bytes(), DEFAULT_LIMITS)
    chat = request.chat
    system, first, answer, readme, logo, picture = chat["messages"]
    instructions = "You are an agent that works on code.\nAnswer briefly.\nThe working directory is /srv/app."
    assert system == {"role": "system", "content": instructions}
    assert first["role"] == "user"
    assert first["content"].endswith("</system-reminder>\nWhat is in README.md and in logo.png?")
    assert answer["content"] == "I read both."
    assert [(call["id"], json.loads(call["function"]["arguments"])) for call in answer["tool_calls"]] == [
        ("toolu_01A", {"file_path": "README.md"}),
        ("toolu_01B", {"file_path": "logo.png"}),
    ]
    assert readme == {"role": "tool", "tool_call_id": "toolu_01A", "content": "# App\n"}
    assert logo == {"role": "tool", "tool_call_id": "toolu_01B", "content": "a picture"}
    url = "data:image/png;base64,iVBORw0KGgo="
    assert picture == {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["Read", "Bash"]
    assert chat["tools"][1]["function"]["parameters"]["required"] == ["command"]
    assert (chat["tool_choice"], chat["parallel_tool_calls"]) == ("auto", False)
    assert request.session == "aaaaaaaa-bbbb"
    assert "metadata" not in chat  # servers of others refuse what they do not know
    assert chat["stream_options"] == {"include_usage": True}
    told = ("context_management", "output_config.effort", "thinking", "tools.web_search_20250305")
    assert request.left_out == told


def test_what_a_coding_agent_sends_is_read_as_a_chat_by_the_router() -> None:
    chat = translate(AGENT.read_bytes(), DEFAULT_LIMITS).chat
    request = parse_chat(json.dumps(chat).encode(), DEFAULT_LIMITS)
    assert (request.query.tools, request.query.images, request.query.max_tokens) == (2, 1, 1024)
    assert request.stream
    assert request.wants_usage


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "Read"}, {"type": "function", "function": {"name": "Read"}}),
    ],
)
def test_a_choice_of_tools_means_the_same(choice: Any, chosen: Any) -> None:
    assert asked(tools=[READ], tool_choice=choice).chat["tool_choice"] == chosen


def test_texts_to_end_before_and_a_schema_are_carried_over() -> None:
    schema = {"type": "object", "properties": {}}
    chat = asked(stop_sequences=["END"], output_config={"format": {"type": "json_schema", "schema": schema}}).chat
    assert chat["stop"] == ["END"]
    assert chat["response_format"]["json_schema"]["schema"] == schema


def test_documents_are_texts_or_files() -> None:
    blocks = [
        {"type": "document", "title": "Plan", "source": {"type": "text", "media_type": "text/plain", "data": "Do it."}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
        {"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.png"}},
    ]
    (message,) = asked(messages=[{"role": "user", "content": blocks}]).chat["messages"]
    title, text, file, image = message["content"]
    assert (title["text"], text["text"]) == ("Plan", "Do it.")
    assert file["file"]["file_data"] == "data:application/pdf;base64,JVBERi0="
    assert image["image_url"]["url"] == "https://pictures.example/a.png"


def test_a_session_in_the_newer_form_names_the_conversation_too() -> None:
    user = json.dumps({"device_id": "d", "account_uuid": "", "session_id": "s-1"})
    assert asked(metadata={"user_id": user}).session == "s-1"
    assert asked(metadata={"user_id": "bob"}).session is None
    assert asked(metadata={"user_id": "bob", "request_id": "r"}).chat["metadata"] == {"request_id": "r"}
    assert asked(metadata={"user_id": "bob"}).chat["user"] == "bob"


@pytest.mark.parametrize(
    ("more", "param", "says"),
    [
        ({"max_tokens": None}, "max_tokens", "Field required"),
        ({"messages": []}, "messages", "at least one"),
        ({"messages": "hi"}, "messages", "must be a list"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages.0.role", "user, assistant or system"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "messages.0.content.0.type", "no arm reads"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content", "must be a list"),
        ({"system": 3}, "system", "must be a list"),
        ({"stop_sequences": "END"}, "stop_sequences", "list of strings"),
        ({"tools": [SEARCH]}, "tools", "runs at Anthropic"),
        ({"tools": [READ, SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}}, "tools", "runs at"),
        ({"tools": [READ], "tool_choice": {"type": "maybe"}}, "tool_choice.type", "auto, any, tool or none"),
        ({"metadata": 3}, "metadata", "must be an object"),
        ({"thinking": "a lot"}, "thinking", "must be an object"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(more: Any, param: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        asked(**more)
    assert refused.value.param == param


def test_counting_needs_no_limit() -> None:
    assert "max_tokens" not in translated({"model": "auto", "messages": [{"role": "user", "content": "hi"}]}).chat
