"""What a round of the log says of another policy against the one that drew: a line in the reward, for either end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats

SPAN = 3.0  # no lower end lies below -SPAN, no upper end above it, whatever the propensities
_MOST_DEARER = 1.0  # quality units that an arm's penalty may lie above the least one
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class PolicyContrast:
    """`lower + slope * r` and `upper + slope * r`: both expect the difference; r is the reward in [0, 1].

    Of a round that counts s times for the challenger they are lower + (slope + 1) s r - r and
    upper + (slope + 1) (1 - s (1 - r)) - r; s is 1 unless there are `returns`.
    The first is at least -SPAN, the second at most SPAN, so that one can bet on either with limited liability.
    """

    lower: float
    upper: float
    slope: float  # (challenger's probability - propensity) / propensity, of the arm drawn; it expects 0
    unsupported: float  # the challenger's probability for arms that could not be drawn
    spread: float  # mean square of the slope, over the arms that could be drawn


class Divergence(NamedTuple):
    """What of a `PolicyContrast` hangs on probabilities alone."""

    slope: float
    unsupported: float
    spread: float
    scale: float  # by which the challenger's probabilities of arms that could be drawn come to 1; 0: it has none


def divergence(challenger: Sequence[float], logged: Sequence[float], action: int) -> Divergence:
    """Return how far a challenger's probabilities of the K arms are from those that were drawn from."""
    if min(logged) > 0.0:
        able = sum(challenger)
    else:
        able = sum([pi for pi, p in zip(challenger, logged, strict=True) if p > 0.0])
    unsupported, scale = 1.0 - able, 1.0 / able if able > _TINY else 0.0
    if not scale:  # of nothing that could be drawn, nothing is known
        return Divergence(0.0, max(unsupported, 0.0), 0.0, 0.0)
    spread = 0.0
    for pi, p in zip(challenger, logged, strict=True):
        if p > 0.0:
            gap = pi * scale - p
            spread += gap * (gap / p)
    p = logged[action]
    slope = (challenger[action] * scale - p) / p if p > 0.0 else 0.0
    return Divergence(slope, max(unsupported, 0.0), spread, scale)


def contrast(
    challenger: Sequence[float],
    logged: Sequence[float],
    action: int,
    *,
    quality: Sequence[float],
    penalties: Sequence[float],
    returns: Sequence[float | None] | None = None,
) -> PolicyContrast:
    """Return what a round says of a challenger's utility (reward minus penalty) minus that of the policy that drew.

    Doubly robust (Dudik, Erhan, Langford & Li, "Doubly Robust Policy Evaluation and Optimization", Statistical Science
    2014, equation 5) for the difference of two policies:
    sum_a (pi(a) - p(a)) (q(a) - c(a)) + (pi(a_t) - p(a_t)) / p(a_t) (r - q(a_t)), unbiased for any q that was settled
    before the reward. With large ratios it could lie far below, which no bet survives; so at each end q is drawn to
    where it cannot (Waudby-Smith et al., "Anytime-valid off-policy inference for contextual bandits", 2024).
    Routing breaks that every arm of the challenger could be drawn: what it would give the others is dealt out among
    those that could, and told. Penalties count relative to the least one, 1 at most: an arm dearer than that is worth
    less than the cheapest, whatever it answers. A handful of arms in plain floats takes a tenth of the time that arrays
    do.

    Args:
        challenger: its probabilities of the K arms.
        logged: what was drawn from, 0 for arms that could not be.
        action: the place of the arm drawn.
        quality: expected of each before the reward was known; how good it is decides how soon something is known.
        penalties: in quality units.
        returns: expected of an arm whose answer the policy that drew may go on from, where the challenger would serve
            it: of that one's reward only a share is known, which is 0 where it was not served. So at the lower end
            nothing is expected of it, at the upper one all. None: both do the same with it.
    """
    slope, unsupported, spread, scale = divergence(challenger, logged, action)
    least_penalty = min(penalties)
    lower = upper = 0.0
    for place, (pi, p, q, penalty) in enumerate(zip(challenger, logged, quality, penalties, strict=True)):
        if p <= 0.0:
            continue
        gap = pi * scale - p if scale else 0.0
        ratio = gap / p
        share = 1.0 / ratio if ratio > 1.0 else 1.0
        low, high = q if q < share else share, q if q > 1.0 - share else 1.0 - share
        champion_low, champion_high = low, high
        if returns is not None and (value := returns[place]) is not None:
            low, high, champion_low, champion_high = 0.0, 1.0, value, value
        dearer = min(penalty - least_penalty, _MOST_DEARER)
        lower += (gap + p) * low - p * champion_low - gap * dearer
        upper += (gap + p) * high - p * champion_high - gap * dearer
        if place == action:
            lower -= (ratio + 1.0) * low - champion_low
            upper -= (ratio + 1.0) * high - champion_high
    return PolicyContrast(lower, upper, slope, unsupported, spread)


def contrast_ends(
    challenger: Floats,
    logged: Floats,
    actions: npt.NDArray[np.intp],
    *,
    scales: Floats,
    quality: Floats,
    penalties: Floats,
) -> tuple[Floats, Floats]:
    """Return `lower` and `upper`, (n,) each, as `contrast` has them for each of n rounds without `returns`.

    Step by step as it does, arm after arm, so that they are the same numbers; arrays are (n, K), actions and scales, of
    `divergence`, (n,).
    """
    dearer = np.minimum(penalties - penalties.min(axis=1, keepdims=True), _MOST_DEARER)
    lower, upper = np.zeros((2, len(actions)))
    for place, (pi, p, q, costs) in enumerate(zip(challenger.T, logged.T, quality.T, dearer.T, strict=True)):
        able = p > 0.0
        gap = np.where(scales > 0.0, pi * scales - p, 0.0)
        ratio = np.divide(gap, p, out=np.zeros_like(gap), where=able)
        share = 1.0 / np.maximum(ratio, 1.0)
        for ends, expected in ((lower, np.minimum(q, share)), (upper, np.maximum(q, 1.0 - share))):
            np.add(ends, (gap + p) * expected - p * expected - gap * costs, out=ends, where=able)
            np.subtract(ends, (ratio + 1.0) * expected - expected, out=ends, where=able & (actions == place))
    return lower, upper


def contrast_by_propensity(
    challenger: Sequence[float], propensity: float, action: int, *, penalties: Sequence[float]
) -> PolicyContrast:
    """Return what `contrast` does where nothing is known of how whoever drew would have drawn but one propensity.

    Plain importance weighting of the challenger, minus what was earned: w r - r at the lower end, and 1 - w (1 - r) - r
    at the upper one, w the ratio of the two probabilities. Which arms could not be drawn is not known; what a
    challenger gives those counts as worth 0 below and 1 above, so that either end stays on its side whichever they are.

    Args:
        challenger: its probabilities of the K arms.
        propensity: of the arm drawn.
        action: the place of the arm drawn.
        penalties: in quality units, known of all.
    """
    least_penalty = min(penalties)
    dearer = [min(penalty - least_penalty, _MOST_DEARER) for penalty in penalties]
    ratio = challenger[action] / propensity
    saved = dearer[action] - sum(pi * cost for pi, cost in zip(challenger, dearer, strict=True))
    return PolicyContrast(saved, saved + 1.0 - ratio, ratio - 1.0, 0.0, (ratio - 1.0) ** 2)
