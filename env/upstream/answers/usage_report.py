"""The tokens that an answer says it took, each number checked before anything is made of it."""

from dataclasses import dataclass
from typing import Any

from highwayman.env.types import JsonObject, Usage

_MOST_TOKENS = 10**8  # of one call: a server that says more has miscounted


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """The tokens an answer says it took; None where it does not say, or says what cannot be."""

    tokens_in: int | None = None
    tokens_out: int | None = None  # reasoning among them, once
    tokens_cached: int = 0  # of tokens_in


def parse_reported_usage(answer: Any) -> ReportedUsage | None:
    """Return what an answer or chunk (parsed) reports; None without a usage of which anything can be believed."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return None
    tokens_in, tokens_out = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if tokens_in is None and tokens_out is None:
        return None
    if tokens_out is not None:
        tokens_out += _reasoning_beside(usage, tokens_in or 0, tokens_out)
    cached = _count(usage.get("prompt_tokens_details"), "cached_tokens")
    if cached is None:
        cached = _count(usage, "prompt_cache_hit_tokens") or 0  # DeepSeek's
    return ReportedUsage(tokens_in, tokens_out, cached if cached <= (tokens_in or 0) else 0)


def parse_usage(answer: Any) -> Usage | None:
    """Return the usage an answer or chunk (parsed) reports, or None; where it tells of no tokens written, 0 were."""
    reported = parse_reported_usage(answer)
    if reported is None or reported.tokens_in is None:
        return None
    if reported.tokens_out is None and "completion_tokens" in answer["usage"]:
        return None
    return Usage(reported.tokens_in, reported.tokens_out or 0, reported.tokens_cached)


def _count(usage: Any, name: str) -> int | None:
    """Return a number of tokens, None where there is none or none that could be."""
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 <= count <= _MOST_TOKENS else None


def _reasoning_beside(usage: JsonObject, tokens_in: int, tokens_out: int) -> int:
    """Return the reasoning tokens that `tokens_out` leaves out: OpenAI counts them in, some others beside."""
    reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0
    beside = reasoning > tokens_out or usage.get("total_tokens") == tokens_in + tokens_out + reasoning
    return reasoning if beside else 0
