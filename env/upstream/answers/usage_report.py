"""The tokens that an answer says it took, each number checked before anything is made of it."""

from typing import Any

from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import JsonObject, Usage

_MOST_TOKENS = 10**8  # of one call: a server that says more has miscounted


@quick_dataclass(frozen=True, slots=True)
class ReportedUsage:
    """The tokens an answer says it took; None where it does not say, or says what cannot be."""

    tokens_in: int | None = None
    tokens_out: int | None = None  # reasoning among them, once
    tokens_cached: int = 0  # of tokens_in


def parse_reported_usage(answer: Any) -> ReportedUsage | None:
    """Return what an answer or chunk (parsed) reports; None without a usage of which anything can be believed."""
    usage = _usage_in(answer)
    if usage is None:
        return None
    tokens_in, tokens_out = _tokens_in(usage), _count(usage, "completion_tokens", "output_tokens")
    if tokens_in is None and tokens_out is None:
        return None
    if tokens_out is not None:
        tokens_out += _reasoning_beside(usage, tokens_in or 0, tokens_out)
    cached = _cached(usage) or 0
    return ReportedUsage(tokens_in, tokens_out, cached if cached <= (tokens_in or 0) else 0)


def joined(before: ReportedUsage | None, usage: ReportedUsage) -> ReportedUsage:
    """Return what two reports of one stream come to: of each number what was said last, but that there were none.

    Servers tell what was read at the beginning and what was written at the end, or end with an empty report.
    """
    if before is None:
        return usage
    tokens_in = usage.tokens_in or before.tokens_in
    cached = usage.tokens_cached or before.tokens_cached
    return ReportedUsage(tokens_in, usage.tokens_out or before.tokens_out, cached if cached <= (tokens_in or 0) else 0)


def parse_usage(answer: Any) -> Usage | None:
    """Return the usage an answer or chunk (parsed) reports, or None; where it tells of no tokens written, 0 were."""
    reported = parse_reported_usage(answer)
    if reported is None or reported.tokens_in is None:
        return None
    if reported.tokens_out is None and "completion_tokens" in answer["usage"]:
        return None
    return Usage(reported.tokens_in, reported.tokens_out or 0, reported.tokens_cached)


def _usage_in(answer: Any) -> JsonObject | None:
    """Return where an answer or chunk tells its usage: Moonshot's servers do so in a choice, Groq's in `x_groq`."""
    if not isinstance(answer, dict):
        return None
    usage = answer.get("usage")
    if usage is None:
        choices, groq = answer.get("choices"), answer.get("x_groq")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            usage = choices[0].get("usage")
        if usage is None and isinstance(groq, dict):
            usage = groq.get("usage")
    return usage if isinstance(usage, dict) else None


def _tokens_in(usage: JsonObject) -> int | None:
    """Return the tokens read; by Anthropic's names, those that stand in the cache or go there are told beside."""
    tokens_in = _count(usage, "prompt_tokens")
    if tokens_in is not None or (tokens_in := _count(usage, "input_tokens")) is None:
        return tokens_in
    return tokens_in + sum(_count(usage, f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))


def _cached(usage: JsonObject) -> int | None:
    """Return the tokens that a cache held, by whatever name."""
    for details in ("prompt_tokens_details", "input_tokens_details"):
        if details in usage and (cached := _count(usage[details], "cached_tokens")) is not None:
            return cached
    # DeepSeek's, Moonshot's, Anthropic's
    return _count(usage, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")


def _count(usage: Any, *names: str) -> int | None:
    """Return a number of tokens by the first of its names that has one, None where there is none that could be."""
    for name in names if type(usage) is dict else ():
        if name in usage:
            count = usage[name]
            if type(count) is int and 0 <= count <= _MOST_TOKENS:
                return count
    return None


def _reasoning_beside(usage: JsonObject, tokens_in: int, tokens_out: int) -> int:
    """Return the reasoning tokens that `tokens_out` leaves out: OpenAI counts them in, some others beside.

    Gemini's servers do not tell of them at all: they are what the total is more than the rest.
    """
    details = "completion_tokens_details"
    reasoning = _count(usage[details], "reasoning_tokens") or 0 if details in usage else 0
    more = (_count(usage, "total_tokens") or 0) - tokens_in - tokens_out
    if not reasoning:
        return more if more > 0 and tokens_in and more != _cached(usage) else 0
    return reasoning if reasoning > tokens_out or more == reasoning else 0
