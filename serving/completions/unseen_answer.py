"""An answer that no client asked for and none will see: another arm's, to a request that was answered already."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pydantic_core

from highwayman.env.cost.usage import cost_usd
from highwayman.env.errors import UpstreamError
from highwayman.env.pool.profile import upstream_body
from highwayman.env.types import Arm, JsonObject, Usage
from highwayman.env.upstream.answers.transcript import Transcript
from highwayman.env.upstream.answers.usage_report import parse_usage
from highwayman.env.upstream.client import Upstream
from highwayman.serving.completions.calls.internal_calls import InternalCall
from highwayman.serving.completions.requests.request import CHAT_PATH, COMPLETION_PATH

_NOT_SENT = ("stream", "store")  # beginnings of keys: it comes whole, and no server keeps it
_TEMPLATE_TOKENS = 64  # that a chat's template adds at most, a message


@dataclass(frozen=True, slots=True)
class UnseenAnswer:
    """What another arm said. It stays out of its repr, and so out of logs and tracebacks."""

    arm: Arm
    text: str = field(repr=False)
    decision_id: str  # under which it is on the log


async def ask_unseen(
    upstream: Upstream, arm: Arm, body: JsonObject, *, chat: bool, timeout_s: float, timer: Callable[[], float]
) -> tuple[str, InternalCall]:
    """Return the text of an arm's answer, empty where there is none, and what the call came to.

    Whatever the arm asks for in it, such as to call a tool, nobody does.

    Args:
        upstream: the way to the arm.
        arm: who is asked.
        body: of the request.
        chat: whether it is a chat.
        timeout_s: for the whole of it.
        timer: monotonic seconds.
    """
    sent = {name: value for name, value in body.items() if not name.startswith(_NOT_SENT)}
    started, response, transcript = timer(), None, Transcript()
    try:
        async with asyncio.timeout(timeout_s):
            path = CHAT_PATH if chat else COMPLETION_PATH
            answer = await upstream.open([arm], path, lambda called: upstream_body(sent, called, chat=chat))
            response = pydantic_core.from_json(await answer.body())
    except (TimeoutError, UpstreamError, ValueError):
        response = None
    transcript.add(response)
    usage = parse_usage(response) or Usage(0, 0)
    said = bool(transcript.text or transcript.tool_calls)
    return transcript.text, InternalCall(arm, usage, cost_usd(arm, usage), timer() - started, ok=said)


def most_usage(body: JsonObject, arm: Arm, *, max_tokens: int) -> Usage:
    """Return more tokens than the arm can take for a request whose answer is held to `max_tokens`.

    Tokenizers make at most one token of a byte. What is not text, such as an image, is given by the arm's window.
    """
    sent = upstream_body(body, arm, chat="messages" in body)
    is_text = not any(isinstance(message.get("content"), list) for message in sent.get("messages", ()))
    size = len(pydantic_core.to_json(sent)) + _TEMPLATE_TOKENS * (1 + len(sent.get("messages", ())))
    tokens_in = min(size, arm.context_window_tokens) if is_text else arm.context_window_tokens
    samples = arm.profile.best_of
    return Usage(samples * tokens_in, samples * max_tokens)


def has_side_effects(body: JsonObject) -> bool:
    """Return whether a server that answers does more than that: tools of its own, a search, what it keeps.

    A function that is offered is only asked for: no router calls it, and nobody sees who asked.
    """
    tools = [tool for tool in body.get("tools") or () if isinstance(tool, dict)]
    hosted = any(tool.get("type", "function") != "function" for tool in tools)
    return hosted or body.get("web_search_options") is not None
