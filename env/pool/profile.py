"""How an arm's serving profile turns a caller's request into the upstream's."""

import math
from typing import Any

from highwayman.env.types import NO_QUIRKS, Arm, JsonObject, Profile

_TOOL_KEYS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
_PROMPT_SPARE, _TEMPLATE_SPARE = 1.1, 64  # times, and tokens: a prompt is estimated, and a server adds to it
_LIMITS = ("max_tokens", "max_completion_tokens")


def upstream_body(body: JsonObject, arm: Arm, *, chat: bool) -> JsonObject:
    """Return the body to send upstream for `arm`; `body` itself is left alone.

    Args:
        body: the caller's parsed request.
        arm: who shall answer.
        chat: whether it has `messages`; otherwise it has a `prompt`, before which the profile's texts are written out.
    """
    profile = arm.profile
    sent = {**body, "model": arm.model}
    if chat:
        if profile.system is not None or profile.few_shot:
            sent["messages"] = _messages(body["messages"], profile)
    else:
        sent["prompt"] = _prompt(body["prompt"], profile)
    if profile.temperature is not None and body.get("temperature") is None:
        sent["temperature"] = profile.temperature
    if profile.max_tokens is not None:
        _limit(sent, profile.max_tokens)
    if chat:
        if profile.reasoning_effort is not None:
            sent["reasoning_effort"] = profile.reasoning_effort
        if profile.body:
            sent.update(profile.body)
    if body.get("stream"):
        # Usage is metered from the stream's last chunk; it is taken out again where the caller did not ask for it.
        sent["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return sent


def within_window(body: JsonObject, window_tokens: int, prompt_tokens: int) -> JsonObject:
    """Return the body with its limits held to what a window leaves beside a prompt, counted with some to spare.

    Servers refuse a request whose prompt and limit together are beyond the window, however short the answer would be.
    """
    room = window_tokens - math.ceil(prompt_tokens * _PROMPT_SPARE) - _TEMPLATE_SPARE
    limits = {name: min(body[name], max(room, 1)) for name in _LIMITS if isinstance(body.get(name), int)}
    return {**body, **limits}


def as_taken(body: JsonObject, arm: Arm) -> JsonObject:
    """Return the body as the arm's server takes it: without what it refuses, and by its names."""
    quirks = arm.quirks
    if quirks is NO_QUIRKS:
        return body
    kept = {key: value for key, value in body.items() if key not in quirks.leave_out}
    for name, called in quirks.rename.items():
        if name in kept:
            value = kept.pop(name)
            kept.setdefault(called, value)
    return kept


def without_tools(body: JsonObject) -> JsonObject:
    """Return the body of a request that offers no tools; `body` itself is left alone."""
    return {key: value for key, value in body.items() if key not in _TOOL_KEYS}


def _messages(messages: list[JsonObject], profile: Profile) -> list[JsonObject]:
    """Return the profile's system text, its examples, then the conversation, with a single system message in front."""
    examples: list[JsonObject] = []
    for user, assistant in profile.few_shot:
        examples += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    own_system = _system_text(messages)
    texts = [text for text in (profile.system, own_system) if text is not None]
    system = [{"role": "system", "content": "\n\n".join(texts)}] if texts else []
    return [*system, *examples, *messages[own_system is not None :]]


def _system_text(messages: list[JsonObject]) -> str | None:
    """Return the text of the caller's leading system message, given whole or in parts; None without one."""
    if not messages or messages[0].get("role") != "system":
        return None
    content = messages[0].get("content")
    if isinstance(content, list) and all(isinstance(part.get("text"), str) for part in content):
        return "\n".join(part["text"] for part in content)  # as vLLM joins parts
    return content if isinstance(content, str) else None


def _prompt(prompt: Any, profile: Profile) -> Any:
    """Return the prompt (text, or a list of texts) with the profile's texts before it."""
    texts = [profile.system] if profile.system is not None else []
    texts += [f"{user}\n{assistant}" for user, assistant in profile.few_shot]
    if not texts:
        return prompt
    preamble = "\n\n".join(texts) + "\n\n"
    return preamble + prompt if isinstance(prompt, str) else [preamble + text for text in prompt]


def _limit(sent: JsonObject, ceiling: int) -> None:
    """Hold the answer to `ceiling` tokens under whichever of the two names the caller used."""
    used = [name for name in _LIMITS if sent.get(name) is not None] or [_LIMITS[0]]
    for name in used:
        sent[name] = min(sent.get(name) or ceiling, ceiling)
