"""What it costs a conversation to change its arm: the prompt cache that it gives up. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.cost.objective import POINT, Objective
from highwayman.env.cost.penalties import UsageEstimates
from highwayman.env.cost.usage import TokenUse
from highwayman.env.types import Arm, Floats

_PER_MTOK = 1e-6
_UNUSED = TokenUse()


@dataclass(frozen=True, slots=True)
class CacheSaving:
    """What an arm's next call takes less, as its server has read the beginning of the prompt before."""

    usd: float = 0.0
    seconds: float = 0.0


def cache_saving(arm: Arm, use: TokenUse, cached_tokens: float) -> CacheSaving:
    """Return what `cached_tokens` of a prompt save: dollars by the arm's prices, seconds as far as measured."""
    return CacheSaving(cache_saving_usd(arm, cached_tokens), use.prefill.seconds_per_token * cached_tokens)


def cache_saving_usd(arm: Arm, cached_tokens: float) -> float:
    """Return the dollars that an arm's next call costs less for the tokens of its prompt that it has read before.

    Nothing where the arm has no price for cached tokens.
    """
    if arm.usd_per_mtok_in is None or arm.usd_per_mtok_cached_in is None:
        return 0.0
    return max(arm.usd_per_mtok_in - arm.usd_per_mtok_cached_in, 0.0) * cached_tokens * _PER_MTOK


def saving_in_quality(arm: str, saving: CacheSaving, estimates: UsageEstimates, objective: Objective) -> float:
    """Return by how many quality units an arm's penalty falls where its call takes so much less than estimated.

    Never less than nothing: a saving counts up to what the call is estimated to take.
    """
    usd, latency_s = estimates[arm].usd or 0.0, estimates[arm].latency_s or 0.0
    return POINT * (
        objective.points_per_usd * min(saving.usd, usd) + objective.points_per_s * min(saving.seconds, latency_s)
    )


def switch_penalties(
    arms: Sequence[str],
    estimates: UsageEstimates,
    objective: Objective,
    *,
    holder: Arm,
    cached_tokens: float,
    use: TokenUse = _UNUSED,
) -> Floats:
    """Return what each arm carries for the cache that a switch to it gives up, shape (K,), in quality units.

    Args:
        arms: the K arms that may answer.
        estimates: of the whole pool, without caches.
        objective: says how much dollars and seconds weigh.
        holder: the arm that answered the turn before.
        cached_tokens: of the prompt, that it has read.
        use: what its calls have used so far.
    """
    return switch_penalties_of(
        arms, estimates, objective, holder=holder.name, saving=cache_saving(holder, use, cached_tokens)
    )


def switch_penalties_of(
    arms: Sequence[str], estimates: UsageEstimates, objective: Objective, *, holder: str, saving: CacheSaving
) -> Floats:
    """Return what each arm carries for the saving that a switch to it gives up, shape (K,), in quality units.

    Nothing for the holder, and nothing at all where its cache saves nothing, or it may not answer. The others carry by
    how much its own penalty would fall if its call were priced as cheap and as quick as it will be. That the cache is
    still there is believed, not known.
    """
    if holder not in arms:
        return np.zeros(len(arms))
    saved = saving_in_quality(holder, saving, estimates, objective)
    return np.array([0.0 if arm == holder else saved for arm in arms])
