"""What a few runs under different seeds say of the mean, and of the difference between two policies."""

import math
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.measures.student_t import student_t


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """A mean over n seeds with its interval; the ends are NaN where one seed cannot tell."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Floats, *, confidence: float = 0.95) -> MeanInterval:
    """Return the mean of `values` (n,) and Student's t interval: mean +- t(n - 1) s / sqrt(n).

    Exact for normal values; means over thousands of rounds, as a run's value is, are near enough. The seeds must be
    independent runs, not stretches of one.

    Raises:
        ValueError: no value, one that is not finite, or a confidence outside of (0, 1).
        ConfigError: scipy is missing.
    """
    _check(values)
    n, mean = len(values), float(values.mean())
    if n == 1:
        return MeanInterval(mean, math.nan, math.nan, 1)
    half = student_t(n - 1, confidence) * float(values.std(ddof=1)) / math.sqrt(n)
    return MeanInterval(mean, mean - half, mean + half, n)


def paired_difference(ours: Floats, theirs: Floats, *, confidence: float = 0.95) -> MeanInterval:
    """Return the mean of `ours` - `theirs`, both (n,), seed by seed, and its t interval.

    Runs on the same scenario share prompts and noise, so their difference varies less than either.

    Raises:
        ValueError: different numbers of seeds; or as `mean_interval`.
        ConfigError: as `mean_interval`.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"pairs need equally many seeds, got {ours.shape} and {theirs.shape}")
    return mean_interval(ours - theirs, confidence=confidence)


def _check(values: Floats) -> None:
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"need at least one finite value per seed, got {values!r}")
