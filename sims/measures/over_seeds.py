"""What a few runs under different seeds say of the mean, and of the difference between two policies."""

import math
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.measures.student_t import student_t

_DRAWS = 10_000


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


def bootstrap_interval(values: Floats, *, rng: np.random.Generator, confidence: float = 0.95) -> MeanInterval:
    """Return the mean of `values` (n,) and the percentile bootstrap interval (Efron 1979), from 10,000 resamples.

    For values far from normal. Too narrow below some twenty values: prefer `mean_interval` there.

    Raises:
        ValueError: no value, one that is not finite, or a confidence outside of (0, 1).
    """
    _check(values)
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}")
    n, mean = len(values), float(values.mean())
    if n == 1:
        return MeanInterval(mean, math.nan, math.nan, 1)
    means = values[rng.integers(n, size=(_DRAWS, n))].mean(axis=1)
    low, high = np.quantile(means, [(1.0 - confidence) / 2, (1.0 + confidence) / 2])
    return MeanInterval(mean, float(low), float(high), n)


def paired_difference(ours: Floats, theirs: Floats, *, confidence: float = 0.95) -> MeanInterval:
    """Return the mean of `ours` - `theirs`, both (n,), seed by seed, and its t interval.

    Runs on the same course share prompts and noise, so their difference varies less than either.

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
