"""What a call costs, and what it may be expected to take before it is made: dollars, seconds, energy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from highwayman.env.cost.prefill_fit import PrefillFit
from highwayman.env.cost.token_fit import TokenFit
from highwayman.env.load.queueing import QueueState
from highwayman.env.types import Arm, Usage

PER_MTOK = 1e-6
_PRIOR_CALLS = 1.0  # how many calls the guess about an arm's token use is worth
GUESSED_ANSWER_TOKENS = 256
_CHARS_PER_TOKEN = 4.2  # of a profile's texts, until the arm has reported what it reads
_NO_FIT = TokenFit()
_LEAST_SHARE = 0.1  # of an arm's usual latency that is expected, however idle it is
_GUESSED_AT_ONCE = 8  # that one replica answers side by side, as long as nothing is measured


def cost_usd(arm: Arm, usage: Usage) -> float | None:
    """Return the dollars of one call, or None where the arm has no price."""
    if arm.usd_per_mtok_in is None or arm.usd_per_mtok_out is None:
        return None
    cached_price = arm.usd_per_mtok_in if arm.usd_per_mtok_cached_in is None else arm.usd_per_mtok_cached_in
    read_usd = (usage.tokens_in - usage.tokens_cached) * arm.usd_per_mtok_in + usage.tokens_cached * cached_price
    return (read_usd + usage.tokens_out * arm.usd_per_mtok_out) * PER_MTOK


def energy_wh(arm: Arm, usage: Usage) -> float | None:
    """Return the watt-hours of one call, or None where the arm's coefficient is not known; cached tokens take none."""
    if arm.wh_per_mtok is None:
        return None
    return (usage.tokens_in - usage.tokens_cached + usage.tokens_out) * arm.wh_per_mtok * PER_MTOK


@dataclass(frozen=True, slots=True)
class TokenUse:
    """What an arm's finished calls used, summed: the price is applied later, so a new price needs no relearning."""

    calls: int = 0
    overhead_tokens: float = 0.0  # tokens read beyond the estimate of the caller's own prompt (profile, template)
    tokens_out: float = 0.0
    latency_s: float = 0.0
    fits: Mapping[str, TokenFit] = field(default_factory=dict)  # by script: reported tokens against estimated ones
    prefill: PrefillFit = field(default_factory=PrefillFit)


class ExpectedAnswer(NamedTuple):
    """What an arm's answer to one prompt is expected to take, from what answers took so far."""

    calls: int  # of the arm, that this is learned from; 0: of other arms, or guessed
    tokens_out: float  # of all samples, where there are calls, else of one
    latency_s: float | None  # None: it has not answered yet


@dataclass(frozen=True, slots=True)
class UsageEstimate:
    """What one call is expected to take; None where nobody can know."""

    usd: float | None  # None: the arm has no price
    latency_s: float | None = None  # None: it has not answered yet
    wh: float | None = None  # None: the pool file does not say what it takes


def estimate_call(
    arm: Arm,
    use: TokenUse,
    *,
    prompt_tokens: int,
    max_tokens: int | None = None,
    under_way: int = 0,
    script: str = "",
    queue: QueueState | None = None,
    answer: ExpectedAnswer | None = None,
) -> UsageEstimate:
    """Return what a call is expected to take.

    Args:
        arm: with its prices.
        use: what its calls have used so far.
        prompt_tokens: of the caller's prompt, estimated.
        max_tokens: the caller's limit on the answer.
        under_way: calls to the arm that have not ended.
        script: of the prompt; what was learned of the arm's tokenizer counts by script.
        queue: what is measured of the arm's load; where there is none, it is guessed from `under_way`.
        answer: what is predicted for this prompt; None: as the arm's calls did on average.
    """
    tokens_in = _expected_tokens_in(arm, use, prompt_tokens=prompt_tokens, script=script)
    answer = answer or _average_answer(arm, use)
    tokens_out = _expected_tokens_out(arm, answer, max_tokens=max_tokens)
    usd = None
    if arm.usd_per_mtok_in is not None and arm.usd_per_mtok_out is not None:
        usd = (tokens_in * arm.usd_per_mtok_in + tokens_out * arm.usd_per_mtok_out) * PER_MTOK
    wh = None if arm.wh_per_mtok is None else (tokens_in + tokens_out) * arm.wh_per_mtok * PER_MTOK
    return UsageEstimate(usd, expected_latency_s(arm, answer.latency_s, under_way, queue), wh)


def expected_latency_s(arm: Arm, usual_s: float | None, under_way: int, queue: QueueState | None) -> float | None:
    """Return the seconds a call is expected to take now: as such calls do, and what is different."""
    if usual_s is None:
        return None
    if queue is None:
        room = _GUESSED_AT_ONCE * max(len(arm.endpoints), 1)
        return usual_s * (1.0 + max(under_way + 1 - room, 0) / room)
    return max(usual_s + queue.delay_s(usual_s), usual_s * _LEAST_SHARE)


def expected_prompt_tokens(arm: Arm, use: TokenUse, *, prompt_tokens: int, script: str = "") -> int:
    """Return how many tokens one prompt is expected to have for the arm's own tokenizer, its profile's texts included.

    What the arm adds counts for half its window at most: one that reported nonsense must get prompts to be heard again.
    """
    overhead, ratio = prompt_line(arm, use, script)
    samples = max(arm.profile.best_of, 1)  # each reads the prompt, and what is reported is their sum
    added = min(overhead / samples, arm.context_window_tokens / 2)
    return max(1, math.ceil(added + ratio / samples * prompt_tokens))


def _expected_tokens_in(arm: Arm, use: TokenUse, *, prompt_tokens: int, script: str) -> float:
    """Return the tokens a call is expected to read."""
    overhead, ratio = read_line(arm, use, script)
    return max(overhead + ratio * prompt_tokens, 1.0)


def read_line(arm: Arm, use: TokenUse, script: str) -> tuple[float, float]:
    """Return the tokens that a call reads whatever the prompt, and those for each token that it is estimated at."""
    if use.calls and not use.fits:  # learned before tokenizers were
        calls = use.calls + _PRIOR_CALLS
        # Samples read the prompt again, until that is learned as overhead.
        return use.overhead_tokens / calls, 1.0 + _PRIOR_CALLS * (arm.profile.best_of - 1) / calls
    return prompt_line(arm, use, script)


def prompt_line(arm: Arm, use: TokenUse, script: str) -> tuple[float, float]:
    """Return the tokens that a call reads beside the prompt, and those for each token that the prompt is estimated at.

    Of a script that the arm has not met, what the others taught of the overhead is expected.
    """
    samples = max(arm.profile.best_of, 1)
    overhead = samples * _profile_tokens(arm)
    for name in dict.fromkeys(("", script)):
        overhead, ratio = use.fits.get(name, _NO_FIT).line(overhead=overhead, ratio=samples)
    return overhead, ratio


def _profile_tokens(arm: Arm) -> float:
    texts = (arm.profile.system or "", *(text for example in arm.profile.few_shot for text in example))
    return sum(map(len, texts)) / _CHARS_PER_TOKEN


def _average_answer(arm: Arm, use: TokenUse) -> ExpectedAnswer:
    """Return what the arm's calls took on average, and a guess that is worth one call."""
    limit = GUESSED_ANSWER_TOKENS if arm.profile.max_tokens is None else arm.profile.max_tokens
    guess = min(GUESSED_ANSWER_TOKENS, limit) * (arm.profile.best_of if use.calls else 1)
    tokens_out = (use.tokens_out + _PRIOR_CALLS * guess) / (use.calls + _PRIOR_CALLS)
    return ExpectedAnswer(use.calls, tokens_out, use.latency_s / use.calls if use.calls else None)


def _expected_tokens_out(arm: Arm, answer: ExpectedAnswer, *, max_tokens: int | None) -> float:
    """Return the tokens a call is expected to write: of each sample no more than it may."""
    samples = max(arm.profile.best_of, 1)
    expected = answer.tokens_out if answer.calls else answer.tokens_out * samples
    limits = [limit for limit in (max_tokens, arm.profile.max_tokens) if limit is not None]
    return min([expected, *(float(limit * samples) for limit in limits)])
