"""A floor that is worth its price: arms that lose more are drawn less beyond what the policy gives them."""

from typing import Any

import numpy as np

from highwayman.env.types import Floats

FLOOR_LOSS = 0.0005  # a request, by default
LEAST_SHARE = 0.1  # of an even floor that every arm keeps: estimates need weights of a bounded size
_NO_GAP = 1e-12


def priced_floor(quality: Floats, deviations: Floats, penalties: Floats, *, floor: float, max_loss: float) -> Floats:
    """Return the least probability of each arm, (..., K), for beliefs (..., K) of its quality and its penalty.

    An arm's gap is what it is behind the best by, were its quality a standard deviation better than expected: an arm
    little known of has none. Every arm keeps a tenth of an even floor (`LEAST_SHARE`), so that no importance ratio
    exceeds K / (`LEAST_SHARE` floor); what these tenths leave of the loss is shared out in proportion to
    1 / sqrt(gap), which makes the mean variance of importance-weighted estimates of the arms' values least (Neyman, "On
    the Two Different Aspects of the Representative Method", 1934, where samples have costs). No arm gets more than of
    an even floor, so less may be lost; more is only where the tenths alone do. Routing breaks what that rests on: gaps
    are the policy's own.

    Args:
        quality: expected, in [0, 1].
        deviations: of what is believed of it, not of single answers.
        penalties: in quality units.
        floor: share of the probability that would be spread evenly.
        max_loss: expected quality minus penalty that may be lost a request.
    """
    even = floor / quality.shape[-1]
    least = LEAST_SHARE * even
    utilities = quality - penalties
    # Reductions by name: those of arrays take twice as long to start. Of one decision they give plain numbers.
    rows: Any = {} if utilities.ndim == 1 else {"axis": -1, "keepdims": True}
    gaps = (np.maximum.reduce(utilities, **rows) if rows else max(utilities.tolist())) - utilities
    gaps -= deviations
    np.maximum(gaps, _NO_GAP, out=gaps)
    roots = np.sqrt(gaps)
    left = np.maximum(max_loss - least * np.add.reduce(gaps, **rows), 0.0)  # of what the least shares do not lose
    priced: Floats = left / np.add.reduce(roots, **rows) / roots
    priced += least
    np.minimum(priced, even, out=priced)
    return priced
