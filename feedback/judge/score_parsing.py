"""What a judge's answer comes to: an expectation over the scores it considered, or the score it wrote; or nothing."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from highwayman.feedback.judge.logprobs import (
    JudgeCompletion,
    is_blank,
    is_refusal,
    name_probs,
    read_completion,
    token_word,
)
from highwayman.feedback.judge.settings import JudgeSettings
from highwayman.feedback.judge.types import NoVerdictReason, ScoreMethod

ENOUGH = 0.5  # probability that must lie on the words asked for
_GOES_ON = re.compile(r"\s*\d+(?:[.,]?\d|[.,]$)")  # "10", "4.5", and "4." that was cut
_LONE = re.compile(r"[\s\"'`*]*([0-9])[\s\"'`*]*\.?\s*")
_FENCED = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParsedScore:
    """A quality, how it was read, and how sure of it the judge was."""

    quality: float
    stderr: float | None
    how: ScoreMethod
    mass: float | None


def parse_score(answer: Any, settings: JudgeSettings) -> ParsedScore | NoVerdictReason:
    """Return what a completion (parsed JSON of any shape) gives as a quality, or why it gives none.

    Liu et al., "G-Eval", EMNLP 2023 (arXiv 2303.16634), section 2: the score is the mean of the scores under the
    judge's own probabilities, which is finer than the score it writes and has fewer ties. Here the probabilities are
    those of one token, not of repeated samples, and summed to one over the valid scores.
    """
    if is_refusal(answer):
        return "refused"
    completion = read_completion(answer)
    if completion is None:
        return "junk"
    written = _in_json(completion.text, settings) if settings.style == "json" else _alone(completion, settings)
    by_mass = _by_mass(completion, written, settings)
    if by_mass is not None:
        return by_mass
    return "junk" if written is None else ParsedScore(settings.quality(written), None, "text", None)


def _by_mass(completion: JudgeCompletion, written: int | None, settings: JudgeSettings) -> ParsedScore | None:
    """Return the expectation at the token that says the score, None where there is no such token or too little."""
    place = _place_in_json(completion, written) if settings.style == "json" else _place_of_digit(completion)
    if place is None:
        return None
    probs = name_probs(place, {str(score) for score in settings.scores})
    mass = sum(probs.values())
    if mass < ENOUGH:
        return None
    mean = sum(int(name) * share for name, share in probs.items()) / mass
    variance = sum((int(name) - mean) ** 2 * share for name, share in probs.items()) / mass
    stderr = math.sqrt(variance) / (settings.high - settings.low)
    return ParsedScore(settings.quality(mean), stderr, "logprobs", min(mass, 1.0))


def _place_in_json(completion: JudgeCompletion, written: int | None) -> Mapping[str, Any] | None:
    """Return the token of the score: in an object that holds nothing else, it is the only one that spells it."""
    places = [
        token for token in completion.tokens if written is not None and token_word(token.get("token")) == str(written)
    ]
    return places[0] if len(places) == 1 else None


def _place_of_digit(completion: JudgeCompletion) -> Mapping[str, Any] | None:
    """Return the first token that is not blank: what stands further on may be quoted from the answer."""
    if _GOES_ON.match(completion.text):
        return None
    return next((token for token in completion.tokens if not is_blank(token)), None)


def _alone(completion: JudgeCompletion, settings: JudgeSettings) -> int | None:
    """Return the score of a text that is one number and nothing else."""
    lone = _LONE.fullmatch(completion.text)
    if lone is None or (completion.truncated and completion.text.rstrip().endswith(".")):
        return None
    score = int(lone[1])
    return score if score in settings.scores else None


def _in_json(text: str, settings: JudgeSettings) -> int | None:
    """Return the score of a text that is an object with one score and nothing else."""
    fenced = _FENCED.fullmatch(text)
    try:
        pairs = json.loads(fenced[1] if fenced else text, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(pairs, tuple) and len(pairs) == 1 and pairs[0][0] == "score"):
        return None
    score = pairs[0][1]
    return score if type(score) is int and score in settings.scores else None
