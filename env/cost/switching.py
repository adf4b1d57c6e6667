"""What it costs a conversation to change its arm: the prompt cache that it gives up. Pure arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.cost.objective import POINT, Objective
from highwayman.env.cost.penalties import UsageEstimates
from highwayman.env.cost.usage import TokenUse
from highwayman.env.types import Arm, Floats

_PER_MTOK = 1e-6
# Measured (docs/explanation/conversations.md): with 3 to 12 turns and topics that change at 5 to 50% of them, 2 is as
# good as any.
SERVED_TURNS = 2.0


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
    holder: str,
    savings: Mapping[str, CacheSaving],
    turns: float = SERVED_TURNS,
) -> Floats:
    """Return what each arm carries for the cache that a switch to it gives up, shape (K,), in quality units.

    Nothing for the holder, and nothing at all where it may not answer. Another arm carries by how much the holder's
    penalty would fall if its call were priced as cheap and as quick as it will be, less what it will save itself on the
    turns that it goes on to answer: it reads the conversation anew once, for all of them. A switch is never rewarded
    for itself. That the holder's cache is still there is believed, not known.

    Args:
        arms: the K arms that may answer.
        estimates: of the whole pool, without caches.
        objective: says how much dollars and seconds weigh.
        holder: the arm that answered the turn before.
        savings: by arm, what the next call would take less if its cache held what the holder's does.
        turns: for how many turns an arm that is switched to is expected to answer, >= 1.
    """
    if holder not in arms:
        return np.zeros(len(arms))
    saved = [saving_in_quality(arm, savings[arm], estimates, objective) for arm in arms]
    given_up, later = saved[arms.index(holder)], 1.0 - 1.0 / turns
    return np.array(
        [0.0 if arm == holder else max(given_up - later * own, 0.0) for arm, own in zip(arms, saved, strict=True)]
    )
