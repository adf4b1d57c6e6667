"""What it costs a conversation to change its arm: the prompt cache that it gives up. Pure arithmetic."""

from collections.abc import Sequence

import numpy as np

from highwayman.env.cost.objective import Objective, scaled_saving
from highwayman.env.cost.penalties import UsageEstimates
from highwayman.env.types import Arm, Floats

_PER_MTOK = 1e-6
_LEAST_SHARE = 1e-3  # of a call's dollars that are left, whatever its cache saves


def cache_saving_usd(arm: Arm, cached_tokens: float) -> float:
    """Return the dollars that an arm's next call costs less for the tokens of its prompt that it has read before.

    Nothing where the arm has no price for cached tokens.
    """
    if arm.usd_per_mtok_in is None or arm.usd_per_mtok_cached_in is None:
        return 0.0
    return max(arm.usd_per_mtok_in - arm.usd_per_mtok_cached_in, 0.0) * cached_tokens * _PER_MTOK


def switch_penalties(
    arms: Sequence[str], estimates: UsageEstimates, objective: Objective, *, holder: Arm, cached_tokens: float
) -> Floats:
    """Return what each arm carries for the cache that a switch to it gives up, shape (K,), in quality units.

    Nothing for the holder, and nothing at all where its cache saves no dollars. The others carry by how much its own
    penalty would fall if its call were priced as cheap as it will be. That the cache is still there is believed, not
    known.

    Args:
        arms: the K arms that may answer.
        estimates: of the whole pool, without caches.
        objective: says how much dollars weigh.
        holder: the arm that answered the turn before.
        cached_tokens: of the prompt, that it has read.
    """
    usd, saving_usd = estimates[holder.name].usd, cache_saving_usd(holder, cached_tokens)
    if not usd or saving_usd <= 0.0 or holder.name not in arms:
        return np.zeros(len(arms))
    saved = scaled_saving(
        usd,
        max(usd - saving_usd, usd * _LEAST_SHARE),
        pool=[estimate.usd for estimate in estimates.values()],
        weight=objective.cost_weight,
    )
    return np.array([0.0 if arm == holder.name else saved for arm in arms])
