"""What a judge said: a score as the expectation over its tokens' probabilities, or from its words; else nothing."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from highwayman.feedback.judging.rubric import Rubric

_ENOUGH = 0.5  # probability that must lie on the scores (or on A and B) for it to be an answer at all
_AROUND = " \t\n\"'`:{}[]().,*"  # that a token may carry beside its letter
_LONE = re.compile(r"\W*(\d)\W*")


class Silence(StrEnum):
    """Why there is no verdict. None of it says anything about the answer."""

    JUNK = "junk"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    FAILED = "failed"
    SUSPECT = "suspect"  # the answer speaks to its judge
    OWN_ANSWER = "own_answer"  # there is no judge but the arm that gave it
    BUDGET = "budget"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Score:
    """A quality in [0, 1], how uncertain the judge itself is of it, and how it was read."""

    quality: float
    deviation: float  # standard deviation over the scores; 0 where it was read from words
    how: str  # logprobs or text


def read_score(answer: Any, rubric: Rubric) -> Score | Silence:
    """Return what an answer (parsed, of any shape) gives as a score, or why it gives none."""
    choice, refusal = _choice(answer)
    if refusal is not None:
        return refusal
    names = {str(score): float(score) for score in rubric.scores}
    shares = _shares(choice, names)
    if shares is not None:
        mean = sum(share * names[name] for name, share in shares.items())
        variance = sum(share * (names[name] - mean) ** 2 for name, share in shares.items())
        return Score(rubric.quality(mean), math.sqrt(max(variance, 0.0)) / (rubric.high - rubric.low), "logprobs")
    score = _in_words(_content(choice), rubric)
    return Score(rubric.quality(score), 0.0, "text") if score is not None else Silence.JUNK


def read_preference(answer: Any) -> float | Silence:
    """Return the probability in [0, 1] that an answer (parsed, of any shape) gives to A, or why it gives none."""
    choice, refusal = _choice(answer)
    if refusal is not None:
        return refusal
    shares = _shares(choice, {"A": 1.0, "B": 0.0})
    if shares is not None:
        return shares.get("A", 0.0)
    word = _content(choice).strip()
    try:
        said = json.loads(word)
    except (ValueError, RecursionError):
        said = word.strip(_AROUND)
    better = said.get("better") if isinstance(said, dict) else said
    return {"A": 1.0, "B": 0.0}[better] if better in ("A", "B") else Silence.JUNK


def _choice(answer: Any) -> tuple[Mapping[str, Any], Silence | None]:
    """Return the first choice, and why it says nothing, if it does not."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not isinstance(first.get("message"), dict):
        return {}, Silence.JUNK
    refused = first.get("finish_reason") == "content_filter" or first["message"].get("refusal")
    return first, Silence.REFUSED if refused else None


def _content(choice: Mapping[str, Any]) -> str:
    content = choice["message"].get("content")
    return content if isinstance(content, str) else ""


def _shares(choice: Mapping[str, Any], names: Mapping[str, float]) -> dict[str, float] | None:
    """Return the probability of each name at the token that says one, summing to 1.

    None where there are no probabilities, or too little of it lies on names.
    """
    for position in _positions(choice):
        if str(position.get("token", "")).strip(_AROUND) not in names:
            continue
        found: dict[str, float] = {}
        for token, logprob in _tops(position):
            name = token.strip(_AROUND)
            if name in names:
                found[name] = found.get(name, 0.0) + math.exp(min(logprob, 0.0))
        mass = sum(found.values())
        return {name: share / mass for name, share in found.items()} if mass >= _ENOUGH else None
    return None


def _positions(choice: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return (one for one in (content if isinstance(content, list) else ()) if isinstance(one, dict))


def _tops(position: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    """Yield the likeliest tokens at a position, each once, with their log probabilities."""
    tops = position.get("top_logprobs")
    seen = set[str]()
    for one in (*(tops if isinstance(tops, list) else ()), position):
        if not isinstance(one, dict):
            continue
        token, logprob = one.get("token"), one.get("logprob")
        if (
            isinstance(token, str)
            and token not in seen
            and isinstance(logprob, int | float)
            and not math.isnan(logprob)
        ):
            seen.add(token)
            yield token, float(max(logprob, -1e3))


def _in_words(text: str, rubric: Rubric) -> int | None:
    """Return the score that words give: exactly one number of the scale, or JSON with one."""
    if rubric.style == "json":
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return None
        score = said.get("score") if isinstance(said, dict) else None
        return score if type(score) is int and score in rubric.scores else None
    lone = _LONE.fullmatch(text.strip())
    score = int(lone[1]) if lone is not None else None
    return score if score in rubric.scores else None
