"""Several answers of one arm, and the one most of them give."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from highwayman.env.types import JsonObject

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def majority_vote(answers: Sequence[JsonObject]) -> JsonObject:
    """Return the answer whose conclusion most of `answers` share (the earliest of them), with everybody's usage.

    Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", ICLR 2023 (arXiv
    2203.11171): majority over sampled conclusions. The conclusion is taken to be the last number of the text, or else
    the whole text in lower case without punctuation; free prose therefore seldom agrees, and the first answer stands.
    """
    conclusions = [_conclusion(first_choice_text(answer)) for answer in answers]
    winner, _ = Counter(conclusions).most_common(1)[0]
    chosen = dict(answers[conclusions.index(winner)])
    chosen["usage"] = _summed([answer.get("usage") or {} for answer in answers])
    return chosen


def first_choice_text(answer: JsonObject) -> str:
    """Return the text of an answer's first choice, chat or completion; empty where there is none."""
    choice = (answer.get("choices") or [{}])[0]
    content = choice.get("text", (choice.get("message") or {}).get("content"))
    return content if isinstance(content, str) else ""


def non_streaming(body: JsonObject) -> JsonObject:
    """Return the request as one for a whole answer."""
    return {name: value for name, value in body.items() if name not in ("stream", "stream_options")}


def to_sse(answer: JsonObject) -> bytes:
    """Return a whole chat or completion answer as the server-sent events of a stream."""
    head = {name: answer.get(name) for name in ("id", "created", "model")}
    chat = "message" in answer["choices"][0]
    head["object"] = "chat.completion.chunk" if chat else "text_completion"
    choices = [_delta(choice) if chat else choice for choice in answer["choices"]]
    events: list[Any] = [{**head, "choices": choices}, {**head, "choices": [], "usage": answer["usage"]}]
    lines = [json.dumps(event, ensure_ascii=False) for event in events] + ["[DONE]"]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def _delta(choice: JsonObject) -> JsonObject:
    kept = {name: value for name, value in choice.items() if name != "message"}
    message = dict(choice["message"])
    if message.get("tool_calls"):  # clients gather the pieces of a call by its index
        message["tool_calls"] = [{"index": place, **call} for place, call in enumerate(message["tool_calls"])]
    return {**kept, "delta": message}


def _conclusion(text: str) -> str:
    numbers = _NUMBER.findall(text)
    if numbers:
        return str(numbers[-1]).replace(",", "")
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


def _summed(usages: Sequence[JsonObject]) -> JsonObject:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: sum(int(usage.get(name) or 0) for usage in usages) for name in names}
