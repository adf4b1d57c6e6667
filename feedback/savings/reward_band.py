"""An interval of a mean reward that may be looked at after every answer, from its sums alone."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from highwayman.feedback.fold.tallies.history import ArmSums
from highwayman.feedback.savings.difference import LEVEL, reach_at_every_look

_LEAST_RATED = 5  # below, no interval is given
_PSEUDO_ANSWERS = 4.0  # that the spread reckons with beside the real ones, half a point of quality off each
_TUNED_TO = 500.0  # rated answers at which the interval is narrowest, beside what it could be


@dataclass(frozen=True, slots=True)
class RewardBand:
    """A mean reward in [0, 1] and its interval; None while too little is known."""

    rated: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None


def reward_band(parts: Iterable[ArmSums], *, level: float = LEVEL) -> RewardBand:
    """Return the mean reward that sums come to, with an interval that holds at every look at once.

    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic confidence
    sequences", Annals of Statistics 2024 (arXiv 2103.06476), theorem 2.2, with the weights as shares of answers; a few
    pseudo-answers keep it wide while all that was said is alike. Routing breaks that answers are alike, and that who
    rates is drawn at random: it bounds what the answers so far that somebody rated were expected to earn.

    Args:
        parts: of arms, stretches of time, or both; they are added.
        level: of confidence, in (0, 1).
    """
    rated, w, wq, wqq, ww = 0, 0.0, 0.0, 0.0, 0.0
    for part in parts:
        rated += part.rated
        w, ww = w + part.weight, ww + part.weight_squared
        wq, wqq = wq + part.weighted, wqq + part.squared
    if rated <= 0 or w <= 0 or ww <= 0:
        return RewardBand(max(rated, 0))
    mean, n = min(max(wq / w, 0.0), 1.0), w * w / ww
    if rated < _LEAST_RATED:
        return RewardBand(rated, mean)
    spread = (n * max(wqq / w - mean * mean, 0.0) + 0.25 * _PSEUDO_ANSWERS) / (n + _PSEUDO_ANSWERS)
    reach = reach_at_every_look(math.sqrt(spread / n), n, level=level, tuned_to=_TUNED_TO)
    return RewardBand(rated, mean, max(mean - reach, 0.0), min(mean + reach, 1.0))
