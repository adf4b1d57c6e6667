"""What a call costs, and what it may be expected to take before it is made: dollars, seconds, energy."""

from dataclasses import dataclass

from highwayman.env.types import Arm, Usage

_PER_MTOK = 1e-6
_PRIOR_CALLS = 1.0  # how many calls the guess about an arm's token use is worth
_GUESSED_ANSWER_TOKENS = 256
_CALLS_AT_ONCE = 8  # that one replica answers side by side before calls wait for each other


def cost_usd(arm: Arm, usage: Usage) -> float | None:
    """Return the dollars of one call, or None where the arm has no price."""
    if arm.usd_per_mtok_in is None or arm.usd_per_mtok_out is None:
        return None
    return (usage.tokens_in * arm.usd_per_mtok_in + usage.tokens_out * arm.usd_per_mtok_out) * _PER_MTOK


@dataclass(frozen=True, slots=True)
class TokenUse:
    """What an arm's finished calls used, summed: the price is applied later, so a new price needs no relearning."""

    calls: int = 0
    overhead_tokens: float = 0.0  # tokens read beyond the estimate of the caller's own prompt (profile, template)
    tokens_out: float = 0.0
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class UsageEstimate:
    """What one call is expected to take; None where nobody can know."""

    usd: float | None  # None: the arm has no price
    latency_s: float | None = None  # None: it has not answered yet
    wh: float | None = None  # None: the pool file does not say what it takes


def estimate_call(
    arm: Arm, use: TokenUse, *, prompt_tokens: int, max_tokens: int | None = None, under_way: int = 0
) -> UsageEstimate:
    """Return what a call is expected to take.

    Args:
        arm: with its prices.
        use: what its calls have used so far.
        prompt_tokens: of the caller's prompt, estimated.
        max_tokens: the caller's limit on the answer.
        under_way: calls to the arm that have not ended; beyond what its replicas answer side by side, each has to wait
            for a share of those before it.
    """
    tokens_in, tokens_out = _expected_tokens(arm, use, prompt_tokens=prompt_tokens, max_tokens=max_tokens)
    usd = None
    if arm.usd_per_mtok_in is not None and arm.usd_per_mtok_out is not None:
        usd = (tokens_in * arm.usd_per_mtok_in + tokens_out * arm.usd_per_mtok_out) * _PER_MTOK
    wh = None if arm.wh_per_mtok is None else (tokens_in + tokens_out) * arm.wh_per_mtok * _PER_MTOK
    room = _CALLS_AT_ONCE * max(len(arm.endpoints), 1)
    queued = max(under_way + 1 - room, 0) / room
    latency_s = use.latency_s / use.calls * (1.0 + queued) if use.calls else None
    return UsageEstimate(usd, latency_s, wh)


def _expected_tokens(arm: Arm, use: TokenUse, *, prompt_tokens: int, max_tokens: int | None) -> tuple[float, float]:
    """Return the tokens a call is expected to read and to write."""
    limits = [limit for limit in (max_tokens, arm.profile.max_tokens) if limit is not None]
    guess = min([_GUESSED_ANSWER_TOKENS, *limits]) * arm.profile.best_of
    weight = use.calls + _PRIOR_CALLS
    tokens_out = (use.tokens_out + _PRIOR_CALLS * guess) / weight
    repeated = prompt_tokens * (arm.profile.best_of - 1)  # until it is learned as overhead
    tokens_in = max(prompt_tokens + (use.overhead_tokens + _PRIOR_CALLS * repeated) / weight, 1.0)
    return tokens_in, tokens_out
