"""Whether an answer has the form that the caller asked for: JSON, of a schema; arguments that a tool takes."""

import json
from collections.abc import Mapping
from typing import Any, Final

from highwayman.env.confidence.json_schema import fits
from highwayman.env.confidence.signal import FinishedAnswer

_NOTHING: Final = object()


class JsonFormat:
    """`json_valid`: 1 where an answer that had to be JSON is, and fits the schema asked for; 0 where not."""

    names = ("json_valid",)
    asks_for: Mapping[str, Any] = {}

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        """Return the signal, none where no JSON was asked for or tools were called instead."""
        wanted = finished.request.get("response_format")
        kind = wanted.get("type") if isinstance(wanted, dict) else None
        transcript = finished.transcript()
        if kind not in ("json_object", "json_schema") or transcript.tool_calls:
            return {}
        value = _parsed(transcript.text)
        if value is _NOTHING:
            return {"json_valid": 0.0}
        described = wanted.get("json_schema") if isinstance(wanted, dict) and kind == "json_schema" else None
        schema = described.get("schema") if isinstance(described, dict) else {"type": "object"}
        return _told("json_valid", [fits(value, schema)])


class ToolArguments:
    """`tool_arguments_valid`: 1 where every tool called is one offered, with arguments that it takes; 0 where not."""

    names = ("tool_arguments_valid",)
    asks_for: Mapping[str, Any] = {}

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        """Return the signal, none where no tool was called."""
        calls, offered = finished.transcript().tool_calls, _offered(finished.request)
        return _told("tool_arguments_valid", [_takes(offered, name, arguments) for name, arguments in calls])


def _takes(offered: Mapping[str, Any], name: str, arguments: str) -> bool | None:
    """Return whether a tool offered under that name takes the arguments, None where its schema cannot tell."""
    value = _parsed(arguments or "{}")
    if name not in offered or not isinstance(value, dict):
        return False
    return fits(value, offered[name])


def _offered(request: Mapping[str, Any]) -> dict[str, Any]:
    tools = request.get("tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return {
        function["name"]: function.get("parameters", {})
        for function in functions
        if isinstance(function, dict) and isinstance(function.get("name"), str)
    }


def _parsed(text: str) -> Any:
    """Return the value of a JSON text, _NOTHING where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING


def _told(name: str, verdicts: list[bool | None]) -> dict[str, float]:
    """Return 0 where one verdict is no, 1 where all are yes, nothing where it cannot be told."""
    if False in verdicts:
        return {name: 0.0}
    return {name: 1.0} if verdicts and None not in verdicts else {}
