"""The tools of a Responses request, as a chat offers them; those that take a text are functions of one text there."""

import json
from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.types import JsonObject
from highwayman.serving.http.validation import BadRequest
from highwayman.serving.protocols.protocol import LeftOut, function_tool, objects, text_of

_INPUT: Final = "input"  # the one argument
_CHOICES: Final = ("auto", "none", "required")
_HOSTED: Final = (
    "tools: what is to be called runs at OpenAI, and no arm has it. Offer a function of your own instead: "
    "type: function, name, description and parameters."
)


@dataclass(frozen=True, slots=True)
class CustomTools:
    """The tools that take a text, by name."""

    names: frozenset[str] = frozenset()

    def text(self, name: str, arguments: str) -> str | None:
        """Return the text in the arguments of a call, as they are where they hold none; None for another tool."""
        if name not in self.names:
            return None
        try:
            text = json.loads(arguments)[_INPUT]
        except (ValueError, KeyError, TypeError, RecursionError):
            return arguments
        return text if isinstance(text, str) else arguments


def custom_arguments(text: str) -> str:
    """Return the arguments of a function that stands for a tool which takes a text."""
    return json.dumps({_INPUT: text}, ensure_ascii=False)


def offered_tools(body: JsonObject, left_out: LeftOut) -> tuple[JsonObject, frozenset[str]]:
    """Return the tools and the choice as a chat has them, and the names of those that take a text.

    What runs at OpenAI, no arm can call: it is left out, where it may be. Raises BadRequest where it must be called.
    """
    tools = objects(body.get("tools") or [], "tools")
    offered: dict[str, JsonObject] = {}
    custom: set[str] = set()
    for place, tool in enumerate(tools):
        if tool.get("type") in ("function", "custom"):
            name = text_of(tool, "name", f"tools.{place}")
            offered[name] = _function(tool, name) if tool["type"] == "function" else _custom(tool, name)
            if tool["type"] == "custom":
                custom.add(name)
        else:
            left_out.add(f"tools.{tool.get('type')}")
    choice, names = _choice(body.get("tool_choice"), offered)
    if tools and not names:
        raise BadRequest(_HOSTED, param="tools")
    if not offered:
        return {}, frozenset()
    chosen = {} if choice is None else {"tool_choice": choice}
    return {"tools": [offered[name] for name in names], **chosen}, frozenset(custom)


def _choice(choice: Any, offered: dict[str, JsonObject]) -> tuple[Any, list[str]]:
    """Return a chat's choice, None where nothing is chosen, and the names of the tools that may be called."""
    if choice is None or choice in _CHOICES:
        return choice, list(offered)
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind in ("function", "custom"):
        name = text_of(choice, "name", "tool_choice")
        return {"type": "function", "function": {"name": name}}, list(offered) if name in offered else []
    if kind == "allowed_tools":
        allowed = [tool.get("name") for tool in objects(choice.get("tools") or [], "tool_choice.tools")]
        return choice.get("mode") or "auto", [name for name in offered if name in allowed]
    if kind is None:
        raise BadRequest(
            "tool_choice: must be auto, none, required, or an object that names a function", param="tool_choice"
        )
    return choice, []


def _function(tool: JsonObject, name: str) -> JsonObject:
    said = {key: tool.get(key) for key in ("description", "parameters", "strict")}
    return function_tool({"name": name, **said})


def _custom(tool: JsonObject, name: str) -> JsonObject:
    """Return the function that stands for a tool which takes a text; its grammar is told, and not enforced."""
    form = tool.get("format")
    grammar = form.get("definition") if isinstance(form, dict) else None
    described = [text for text in (tool.get("description"), grammar) if isinstance(text, str)]
    parameters = {
        "type": "object",
        "properties": {_INPUT: {"type": "string"}},
        "required": [_INPUT],
        "additionalProperties": False,
    }
    return function_tool({"name": name, "description": "\n\n".join(described) or None, "parameters": parameters})
