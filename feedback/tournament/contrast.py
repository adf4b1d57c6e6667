"""What rounds of the log say of another policy against the one that drew: a line in the reward, at each of two ends."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats

SPAN = 3.0  # no lower end lies below -SPAN, no upper end above it, whatever the propensities
_MOST_DEARER = 1.0  # quality units that an arm's penalty may lie above the least one


@dataclass(frozen=True, slots=True, eq=False)
class Contrasts:
    """For n rounds, `lower + slope * r` and `upper + slope * r`: both expect the difference; r is the reward in [0, 1].

    The first is at least -SPAN, the second at most SPAN, so that one can bet on either with limited liability.
    """

    lower: Floats  # (n,)
    upper: Floats  # (n,)
    slope: Floats  # (n,) (challenger's probability - propensity) / propensity, of the arm drawn; it expects 0
    unsupported: Floats  # (n,) the challenger's probability for arms that could not be drawn
    spread: Floats  # (n,) mean square of the slope, over the arms that could be drawn


def contrasts(
    challenger: Floats, logged: Floats, actions: npt.NDArray[np.intp], *, quality: Floats, penalties: Floats
) -> Contrasts:
    """Return what n rounds say of a challenger's utility (reward minus penalty) minus that of the policy that drew.

    Doubly robust (Dudik, Erhan, Langford & Li, "Doubly Robust Policy Evaluation and Optimization", Statistical Science
    2014, equation 5) for the difference of two policies:
    sum_a (pi(a) - p(a)) (q(a) - c(a)) + (pi(a_t) - p(a_t)) / p(a_t) (r - q(a_t)), unbiased for any q that was settled
    before the reward. With large ratios it could lie far below, which no bet survives; so at each end q is drawn to
    where it cannot (Waudby-Smith et al., "Anytime-valid off-policy inference for contextual bandits", 2024).
    Routing breaks that every arm of the challenger could be drawn: what it would give the others is dealt out among
    those that could, and told. Penalties count relative to the least one, 1 at most: an arm dearer than that is worth
    less than the cheapest, whatever it answers.

    Args:
        challenger: (n, K) its probabilities.
        logged: (n, K) what was drawn from, 0 for arms that could not be.
        actions: (n,) columns of the arms drawn.
        quality: (n, K) expected before the rewards were known; how good it is decides how soon something is known.
        penalties: (n, K) in quality units.
    """
    able = logged > 0
    unsupported = np.where(able, 0.0, challenger).sum(axis=1)
    able_mass = 1.0 - unsupported
    scaled = np.where(able, challenger, 0.0) / np.maximum(able_mass, 1e-9)[:, None]
    target = np.where(able_mass[:, None] > 1e-9, scaled, logged)  # of nothing that could be drawn, nothing is known
    gap = target - logged
    ratio = gap / np.where(able, logged, 1.0)
    least = 1.0 / np.maximum(ratio, 1.0)
    dearer = np.minimum(penalties - penalties.min(axis=1, keepdims=True), _MOST_DEARER)
    rows = np.arange(len(logged))
    slope = ratio[rows, actions]
    ends = []
    for expected in (np.minimum(quality, least), np.maximum(quality, 1.0 - least)):
        ends.append(np.einsum("nk,nk->n", gap, expected - dearer) - slope * expected[rows, actions])
    return Contrasts(ends[0], ends[1], slope, unsupported, np.einsum("nk,nk->n", gap, ratio))
