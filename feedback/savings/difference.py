"""An interval of a difference of means that may be looked at after every request."""

import math

from highwayman.feedback.fold.tallies.arm_contrast import BaselineContrast

LEVEL = 0.95
_LEAST_DRAWN = 20  # by the slice: below, those of its draws that weigh most may not have been seen at all
_PSEUDO_DRAWS = 4.0  # of the slice, a standard deviation off each, that the interval reckons with beside the real ones
_TUNED_TO = 10_000.0  # decisions at which the interval is narrowest, beside what it could be


def difference_interval(contrast: BaselineContrast, *, level: float = LEVEL) -> tuple[float, float] | None:
    """Return an interval of baseline - policy that holds at every look at once; None while too little is known.

    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic confidence
    sequences", Annals of Statistics 2024 (arXiv 2103.06476), theorem 2.2, for the influence function of a difference of
    self-normalised means. It is valid in the limit of many draws of the slice, for values of finite variance, which
    costs have, since no answer outgrows its arm's window: nothing is cut off. Routing breaks that decisions are alike:
    it bounds the mean over the requests so far of what each was expected to save, whatever drifts and whatever the
    policy learns meanwhile (their section 2.5).

    Args:
        contrast: of the decisions so far.
        level: of confidence, in (0, 1).
    """
    if contrast.drawn < _LEAST_DRAWN:
        return None
    stderr = math.hypot(contrast.stderr, math.sqrt(_PSEUDO_DRAWS) * contrast.deviation / contrast.drawn)
    reach = reach_at_every_look(stderr, contrast.n, level=level, tuned_to=_TUNED_TO)
    difference = contrast.baseline - contrast.policy
    return difference - reach, difference + reach


def reach_at_every_look(stderr: float, n: float, *, level: float, tuned_to: float) -> float:
    """Return how far an interval reaches to either side of a mean of `n` values so that it holds at every look at once.

    It is narrowest, beside what it could be, at `tuned_to` values.
    """
    alpha = 1.0 - level
    rho_squared = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / tuned_to
    scaled = n * rho_squared + 1.0
    return stderr * math.sqrt(2 * scaled / (scaled - 1.0) * math.log(math.sqrt(scaled) / alpha))
