import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.confidence.code import CompilingCode
from highwayman.env.confidence.json_format import JsonFormat, ToolArguments
from highwayman.env.confidence.refusal import Refusal
from highwayman.env.confidence.signal import FinishedAnswer


def answered(text: str | None = None, *, request: dict[str, Any] | None = None, **more: Any) -> FinishedAnswer:
    finish_reason = more.pop("finish_reason", "stop")
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **more}, "finish_reason": finish_reason}
    return FinishedAnswer(request or {}, {"choices": [choice]})


def calling(name: str, arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}]}


@pytest.mark.parametrize(
    "text", ["I'm sorry, but I can't help with that.", "I cannot answer this.", "As an AI model, I", "I don’t know."]
)  # fmt: skip
def test_an_answer_that_says_no_refuses(text: str) -> None:
    assert Refusal().read(answered(text))["refusal"] == 1.0


@pytest.mark.parametrize("text", ["Paris.", "Sorry is what he said.", "You can't divide by zero.", "It can be done."])
def test_an_answer_about_no_does_not_refuse(text: str) -> None:
    assert Refusal().read(answered(text))["refusal"] == 0.0


def test_a_refusal_of_the_api_refuses_and_is_not_empty() -> None:
    assert Refusal().read(answered(None, refusal="I will not.")) == {"refusal": 1.0, "empty": 0.0, "cut": 0.0}


def test_an_answer_that_says_nothing_is_empty_but_a_call_of_a_tool_says_something() -> None:
    assert Refusal().read(answered("  "))["empty"] == 1.0
    assert Refusal().read(answered(None, **calling("f", "{}")))["empty"] == 0.0


def test_an_answer_that_its_limit_ended_is_cut() -> None:
    assert Refusal().read(answered("and then", finish_reason="length"))["cut"] == 1.0


@pytest.mark.parametrize(
    ("code", "compiles"),
    [("def f():\n    return 1\n", 1.0), ("def f(:\n", 0.0), ("x = '\\d'\n", 1.0), ("x = '\0'\n", 0.0)],
)
def test_python_compiles_or_does_not(code: str, compiles: float) -> None:
    assert CompilingCode().read(answered(f"So:\n```python\n{code}```\nDone.")) == {"code_compiles": compiles}


def test_one_block_that_does_not_compile_is_enough() -> None:
    assert CompilingCode().read(answered("```py\n1\n```\nor\n```py\n)\n```")) == {"code_compiles": 0.0}


@pytest.mark.parametrize(
    "text",
    [
        "no code",
        "```js\n(\n```",
        f"```python\n{'(' * 5000}\n```",
        f"```python\n{'not ' * 3000}x\n```",
        f"```python\n{'-' * 9000}x\n```",
        f"```python\n{'x' * 30_000}\n```",
    ],
    ids=["none", "another language", "deep", "nots", "signs", "long"],
)
def test_what_is_no_python_or_not_safe_to_parse_tells_nothing(text: str) -> None:
    assert CompilingCode().read(answered(text)) == {}


@given(st.text(max_size=200))
def test_no_code_raises_anything(code: str) -> None:
    assert CompilingCode().read(answered(f"```python\n{code}\n```")).get("code_compiles", 0.0) in (0.0, 1.0)


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
STRICT = {"response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}}


@pytest.mark.parametrize(
    ("text", "valid"), [('{"city": "Oslo"}', 1.0), ('{"city": 5}', 0.0), ("Oslo", 0.0), ("[" * 100_000, 0.0)]
)
def test_json_that_was_asked_for_fits_its_schema_or_does_not(text: str, valid: float) -> None:
    assert JsonFormat().read(answered(text, request=STRICT)) == {"json_valid": valid}


def test_json_without_a_schema_is_an_object() -> None:
    wanted = {"response_format": {"type": "json_object"}}
    assert JsonFormat().read(answered("{}", request=wanted)) == {"json_valid": 1.0}
    assert JsonFormat().read(answered("[]", request=wanted)) == {"json_valid": 0.0}


def test_where_nobody_asked_for_json_or_a_tool_is_called_nothing_is_told() -> None:
    assert JsonFormat().read(answered("Oslo")) == {}
    assert JsonFormat().read(answered(None, request=STRICT, **calling("f", "{}"))) == {}


TOOLS = {"tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]}


@pytest.mark.parametrize(
    ("name", "arguments", "valid"),
    [
        ("weather", json.dumps({"city": "Oslo"}), 1.0),
        ("weather", json.dumps({"town": "Oslo"}), 0.0),
        ("weather", "{", 0.0),
        ("weather", "[]", 0.0),
        ("rain", json.dumps({"city": "Oslo"}), 0.0),
    ],
)
def test_a_tool_takes_its_arguments_or_does_not(name: str, arguments: str, valid: float) -> None:
    told = ToolArguments().read(answered(None, request=TOOLS, **calling(name, arguments)))
    assert told == {"tool_arguments_valid": valid}


def test_without_a_call_nothing_is_told_of_arguments() -> None:
    assert ToolArguments().read(answered("It rains.", request=TOOLS)) == {}
