"""Which of two answers is better, when both orders were asked."""

import json
import re
from typing import Any

from highwayman.feedback.judge.logprobs import is_blank, is_refusal, name_probs, read_completion, token_word
from highwayman.feedback.judge.score_parsing import ENOUGH
from highwayman.feedback.judge.types import NoVerdictReason, ScoreMethod

_LONE = re.compile(r"[\s\"'`*(\[]*([AB])[\s\"'`*)\].]*")


def parse_choice(answer: Any) -> tuple[float, ScoreMethod] | NoVerdictReason:
    """Return the probability in [0, 1] that a completion (parsed JSON of any shape) gives to A, or why it gives none.

    Of words only the first counts: "A" further on may be the article, or quoted. In an object that holds the choice and
    nothing else, it is the token that spells it, if there is one such.
    """
    if is_refusal(answer):
        return "refused"
    completion = read_completion(answer)
    if completion is None:
        return "junk"
    written = _in_json(completion.text)
    if written is None:
        place = next((token for token in completion.tokens if not is_blank(token)), {})
    else:
        places = [token for token in completion.tokens if token_word(token.get("token")) == written]
        place = places[0] if len(places) == 1 else {}
    probs = name_probs(place, {"A", "B"})
    mass = sum(probs.values())
    if mass >= ENOUGH:
        return probs.get("A", 0.0) / mass, "logprobs"
    lone = _LONE.fullmatch(completion.text)
    word = written or (lone[1] if lone is not None else None)
    return (float(word == "A"), "text") if word is not None else "junk"


def _in_json(text: str) -> str | None:
    """Return the choice of a text that is an object with one and nothing else."""
    try:
        pairs = json.loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(pairs, tuple) and len(pairs) == 1 and pairs[0][0] == "better"):
        return None
    return pairs[0][1] if pairs[0][1] in ("A", "B") else None


def preference_share(served_first: float, other_first: float) -> float:
    """Return the share of the preference that the served answer got, in [0, 1].

    Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", NeurIPS 2023 (arXiv 2306.05685), section
    3.4: judges lean to a place, so both orders are asked. They call it a tie unless both agree; the mean of the two
    keeps how sure each was, and takes out a lean that is the same for both orders. A lean that depends on the answers
    stays in.

    Args:
        served_first: the probability of A where A was the served answer.
        other_first: the probability of A where A was the other one.
    """
    return (served_first + (1.0 - other_first)) / 2.0


def position_bias(served_first: float, other_first: float) -> float:
    """Return how much more than its half the first place got in all, in [-1, 1]; 0: the judge leans to neither."""
    return served_first + other_first - 1.0


def is_consistent(served_first: float, other_first: float) -> bool:
    """Return whether the same answer was preferred in both orders."""
    return (served_first - 0.5) * (other_first - 0.5) < 0.0
