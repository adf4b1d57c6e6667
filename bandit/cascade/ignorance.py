"""What is not known yet of an arm's answers, by how many of them have had feedback: what trying them is for."""

from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats

_UNTOLD = 8.0  # answers with feedback, of an arm, after which a quarter is untold


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is believed of an answer that was looked at."""

    estimate: float  # probability that it is good, before calibration
    good: float  # calibrated
    deviation: float  # of that belief, not of single answers


def untold(labels: Floats) -> Floats:
    """Return how little of what signals tell is known of arms, (K,) in (0, 1], for so many answers with feedback (K,).

    It falls with the square of their number, so that what is tried for its sake is hardly tried any more some time.
    """
    share: Floats = (_UNTOLD / (_UNTOLD + labels)) ** 2
    return share


def hoped_quality(expected: Floats, labels: Floats) -> Floats:
    """Return the quality that arms may well have, (K,) in [0, 1]: a deviation above what is expected of them (K,)."""
    shares, deviations = share_and_deviation(expected, fewness(labels))
    hoped: Floats = np.clip(np.maximum(expected, shares + deviations), 0.0, 1.0)
    return hoped


def fewness(labels: Floats) -> Floats:
    """Return the variance of a mean of so many answers, (K,), in units of a single one's; one more makes it finite."""
    variance: Floats = 1.0 / (1.0 + labels)
    return variance


def share_and_deviation(share: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return a share (K,) with two more cases, one of each kind, and the deviation of what is believed of it.

    `variance` (K,) is in units of a single case's, 1 / n for n cases. Agresti & Coull, "Approximate Is Better than
    'Exact' for Interval Estimation of Binomial Proportions", 1998, with 2 for their 4: after two bad answers of two
    the plain estimate, 0, would be sure. Routing breaks that cases are alike: queries differ.
    """
    smoothed = (share + variance) / (1.0 + 2.0 * variance)
    return smoothed, np.sqrt(variance * smoothed * (1.0 - smoothed))
