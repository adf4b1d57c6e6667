"""What a chat completion said and how sure it was, token by token; anything of another shape is ignored."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

_AROUND = " \t\r\n\"'`*:{}[]()ĠĊ▁"  # that a token may carry beside its digit or letter
_LEAST_LOGPROB = -1e3  # its exponential is 0 already
_ROUNDING = 1e-2  # a log probability above 0 by more than this is none


@dataclass(frozen=True, slots=True)
class JudgeCompletion:
    """The first choice of a completion."""

    text: str
    truncated: bool  # it had more to say than it was allowed
    tokens: tuple[Mapping[str, Any], ...]  # with their log probabilities; empty where the server gives none


def read_completion(answer: Any) -> JudgeCompletion | None:
    """Return what a completion (parsed JSON of any shape) says, None if that is nothing."""
    choice = _first(answer)
    text = choice["message"].get("content") if choice is not None else None
    if choice is None or not isinstance(text, str):
        return None
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    tokens = tuple(token for token in (content if isinstance(content, list) else ()) if isinstance(token, dict))
    return JudgeCompletion(text, choice.get("finish_reason") == "length", tokens)


def is_refusal(answer: Any) -> bool:
    """Return whether a completion, or an error in its place, says that the model would not answer."""
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        return bool(answer["error"].get("code") == "content_filter")
    choice = _first(answer)
    return choice is not None and bool(
        choice.get("finish_reason") == "content_filter" or choice["message"].get("refusal")
    )


def token_word(token: object) -> str:
    """Return the word a token spells, without what stands around it; empty where it spells none."""
    return token.strip(_AROUND) if isinstance(token, str) else ""


def is_blank(token: Mapping[str, Any]) -> bool:
    """Return whether a token is white space only."""
    text = token.get("token")
    return isinstance(text, str) and not text.strip(" \t\r\nĠĊ▁")


def name_probs(token: Mapping[str, Any], names: Collection[str]) -> dict[str, float]:
    """Return the probability of each name at the place of a token, all its spellings summed."""
    tops = token.get("top_logprobs")
    listed = [entry for entry in (tops if isinstance(tops, list) else ()) if isinstance(entry, dict)]
    if all(entry.get("token") != token.get("token") for entry in listed):
        listed.append(dict(token))  # a sampled token may be less likely than those listed
    probs: dict[str, float] = {}
    for entry in listed:
        name, probability = token_word(entry.get("token")), _probability(entry.get("logprob"))
        if name in names and probability is not None:
            probs[name] = probs.get(name, 0.0) + probability
    return probs


def _first(answer: Any) -> dict[str, Any] | None:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) and isinstance(first.get("message"), dict) else None


def _probability(logprob: Any) -> float | None:
    number = isinstance(logprob, int | float) and not isinstance(logprob, bool)
    if not (number and logprob <= _ROUNDING):  # nor is NaN, nor an integer no float can hold
        return None
    return math.exp(min(max(logprob, _LEAST_LOGPROB), 0.0))
