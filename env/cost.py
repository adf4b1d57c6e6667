"""What a call costs, and what it may be expected to cost before it is made."""

from dataclasses import dataclass

from highwayman.env.types import Arm, Usage

_PER_MTOK = 1e-6
_PRIOR_CALLS = 1.0  # how many calls the guess about an arm's token use is worth
_GUESSED_ANSWER_TOKENS = 256


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


def expected_cost_usd(arm: Arm, use: TokenUse, *, prompt_tokens: int, max_tokens: int | None) -> float | None:
    """Return the dollars a call is expected to cost, or None where the arm has no price."""
    if arm.usd_per_mtok_in is None or arm.usd_per_mtok_out is None:
        return None
    limits = [limit for limit in (max_tokens, arm.profile.max_tokens) if limit is not None]
    guess = min([_GUESSED_ANSWER_TOKENS, *limits]) * arm.profile.best_of
    weight = use.calls + _PRIOR_CALLS
    tokens_out = (use.tokens_out + _PRIOR_CALLS * guess) / weight
    repeated = prompt_tokens * (arm.profile.best_of - 1)  # until it is learned as overhead
    tokens_in = max(prompt_tokens + (use.overhead_tokens + _PRIOR_CALLS * repeated) / weight, 1.0)
    return (tokens_in * arm.usd_per_mtok_in + tokens_out * arm.usd_per_mtok_out) * _PER_MTOK
