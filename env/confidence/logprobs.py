"""How sure a model was of its own tokens, from the log probabilities that its server reports."""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeGuard

from highwayman.env.confidence.signal import FinishedAnswer

_LEAST: Final = -20.0  # log probability; servers write -9999 for what they do not tell
_MOST_TOKENS: Final = 4096  # read of an answer, from its beginning
_TAIL: Final = 0.1  # share of tokens, the least probable ones


class _Token(NamedTuple):
    logprob: float  # of the token written
    likeliest: tuple[float, ...]  # log probabilities of the likeliest tokens at its place, in falling order


class Logprobs:
    """Mean and tail of the tokens' log probabilities, margins between the two likeliest tokens, and their entropy.

    What cascades have been gated by: sequence log probabilities and entropy (Jitkrittum et al., "When Does
    Confidence-Based Cascade Deferral Suffice?", NeurIPS 2023), their quantiles (Gupta et al., "Language Model Cascades:
    Token-Level Uncertainty and Beyond", ICLR 2024, arXiv 2404.10136), the first token's margin (Ramirez et al.,
    "Optimising Calls to Large Language Models with Uncertainty-Based Two-Tier Selection", 2024, arXiv 2405.02134).
    """

    names = ("token_logprob", "tail_logprob", "first_margin", "min_margin", "entropy")

    def __init__(self, *, top: int = 5) -> None:
        """Ask for so many of the likeliest tokens at each place. Raises ValueError."""
        if not 2 <= top <= 20:
            raise ValueError(f"top must lie between 2 and 20 (a margin needs two), not {top}")
        self.asks_for: Mapping[str, Any] = {"logprobs": True, "top_logprobs": top}

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        """Return the signals, none where the server reports no log probabilities."""
        tokens = _tokens(finished.choice.get("logprobs"))
        if not tokens:
            return {}
        logprobs = sorted(token.logprob for token in tokens)
        tail = logprobs[: max(round(_TAIL * len(logprobs)), 1)]
        told = {"token_logprob": _mean(logprobs), "tail_logprob": _mean(tail)}
        places = [token.likeliest for token in tokens if len(token.likeliest) > 1]
        if places:
            margins = [math.exp(first) - math.exp(second) for first, second, *_ in places]
            told |= {"min_margin": min(margins), "entropy": _mean([_entropy(likeliest) for likeliest in places])}
        if len(tokens[0].likeliest) > 1:
            told["first_margin"] = margins[0]
        return told


def _tokens(reported: Any) -> list[_Token]:
    """Return the tokens of a choice: of a chat answer a list of objects, of a completion lists side by side."""
    if not isinstance(reported, dict):
        return []
    content = reported.get("content")
    if isinstance(content, list):
        each = (
            (entry.get("logprob"), entry.get("top_logprobs"))
            for entry in islice(content, _MOST_TOKENS)
            if isinstance(entry, dict)
        )
    else:
        logprobs, likeliest = (_listed(reported.get(name)) for name in ("token_logprobs", "top_logprobs"))
        padded = [*likeliest, *[None] * (len(logprobs) - len(likeliest))]
        each = ((logprob, places) for logprob, places in islice(zip(logprobs, padded, strict=False), _MOST_TOKENS))
    return [_Token(_clipped(logprob), _likeliest(places)) for logprob, places in each if _is_number(logprob)]


def _likeliest(places: Any) -> tuple[float, ...]:
    if isinstance(places, dict):  # of a completion: token -> log probability
        values = list(places.values())
    else:
        values = [place.get("logprob") for place in _listed(places) if isinstance(place, dict)]
    return tuple(sorted((_clipped(value) for value in values if _is_number(value)), reverse=True))


def _entropy(likeliest: Sequence[float]) -> float:
    """Return the entropy in nats of a place whose other tokens together count as one more."""
    probs = [math.exp(logprob) for logprob in likeliest]
    probs.append(max(1.0 - sum(probs), 0.0))
    return -sum(prob * math.log(prob) for prob in probs if prob > 0.0)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124  (NaN)


def _clipped(logprob: float) -> float:
    return float(min(max(logprob, _LEAST), 0.0))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
