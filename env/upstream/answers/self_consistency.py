"""Several answers of one arm, and the one most of them give."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from highwayman.env.types import JsonObject, Usage
from highwayman.env.upstream.answers.usage_report import parse_reported_usage

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def majority_vote(answers: Sequence[JsonObject]) -> JsonObject:
    """Return the answer whose conclusion most of `answers` share (the earliest of them), with everybody's usage.

    Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", ICLR 2023 (arXiv
    2203.11171): majority over sampled conclusions. The conclusion is taken to be the last number of the text, or else
    the whole text in lower case without punctuation; free prose therefore seldom agrees, and the first answer stands.
    """
    conclusions = [conclusion(first_choice_text(answer)) for answer in answers]
    winner, _ = Counter(conclusions).most_common(1)[0]
    chosen = dict(answers[conclusions.index(winner)])
    chosen["usage"] = _summed([usage for answer in answers if (usage := full_usage(answer)) is not None])
    return chosen


def full_usage(answer: JsonObject) -> Usage | None:
    """Return the usage an answer reports, None where a part of it is missing."""
    usage = parse_reported_usage(answer)
    if usage is None or usage.tokens_in is None or usage.tokens_out is None:
        return None
    return Usage(usage.tokens_in, usage.tokens_out, usage.tokens_cached)


def first_choice_text(answer: JsonObject) -> str:
    """Return the text of an answer's first choice, chat or completion; empty where there is none."""
    choice = (answer.get("choices") or [{}])[0]
    message = choice.get("message")
    content = choice.get("text", message.get("content") if isinstance(message, dict) else None)
    return content if isinstance(content, str) else ""


def non_streaming(body: JsonObject) -> JsonObject:
    """Return the request as one for a whole answer."""
    return {name: value for name, value in body.items() if name not in ("stream", "stream_options")}


def to_sse(answer: JsonObject) -> bytes:
    """Return a whole chat or completion answer as the server-sent events of a stream."""
    head = {name: answer.get(name) for name in ("id", "created", "model")}
    chat = isinstance(answer["choices"][0].get("message"), dict)
    head["object"] = "chat.completion.chunk" if chat else "text_completion"
    choices = [_delta(choice) if chat else choice for choice in answer["choices"]]
    events: list[Any] = [{**head, "choices": choices}]
    if "usage" in answer:
        events.append({**head, "choices": [], "usage": answer["usage"]})
    lines = [json.dumps(event, ensure_ascii=False) for event in events] + ["[DONE]"]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def _delta(choice: JsonObject) -> JsonObject:
    kept = {name: value for name, value in choice.items() if name != "message"}
    message = dict(choice.get("message") or {})
    calls = message.get("tool_calls")
    if isinstance(calls, list):  # clients gather the pieces of a call by its index
        message["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls) if isinstance(call, dict)]
    return {**kept, "delta": message}


def conclusion(text: str) -> str:
    """Return what a text comes to: its last number, or else all of it, in lower case without punctuation."""
    numbers = _NUMBER.findall(text)
    if numbers:
        return str(numbers[-1]).replace(",", "")
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


def _summed(usages: Sequence[Usage]) -> JsonObject:
    tokens_in = sum(usage.tokens_in for usage in usages)
    tokens_out = sum(usage.tokens_out for usage in usages)
    cached = sum(usage.tokens_cached for usage in usages)
    details = {"prompt_tokens_details": {"cached_tokens": cached}} if cached else {}
    total = tokens_in + tokens_out
    return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": total, **details}
