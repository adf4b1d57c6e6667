"""Means over seeds with their 95% bands, thinned to what a chart can show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from highwayman.env.types import Floats
from highwayman.pages.charts import Series
from highwayman.sims.measures.student_t import student_t
from highwayman.sims.plots.focus import Window
from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import Case

_MOST = 80  # points of a line


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A mean over seeds at each of b rounds, and the ends of Student's t interval; NaN ends where one seed ran."""

    rounds: Floats  # (b,)
    mean: Floats  # (b,)
    low: Floats  # (b,)
    high: Floats  # (b,)


def band(case: Case, name: str, column: str, *, window: int = 1, cumulative: bool = False) -> Band | None:
    """Return a policy's column over time, or None where it is unknown.

    Args:
        case: the table and world.
        name: the policy's.
        column: of the bins.
        window: rounds a mean should span at least: bins that are shorter are averaged with those before.
        cumulative: the column is a sum so far, of which thinning keeps values; else means, which it averages.
    """
    rounds, values = case.curve(name, column)
    if not rounds.size or not np.isfinite(values).all():
        return None
    values = rolling(values, rounds, window) if window > 1 else values
    rounds, values = thinned(rounds, values, keep_last=cumulative or window > 1)
    n = len(values)
    mean = values.mean(axis=0)
    half = student_t(n - 1) * values.std(axis=0, ddof=1) / math.sqrt(n) if n > 1 else np.full(mean.shape, np.nan)
    return Band(rounds, mean, mean - half, mean + half)


def rolling(values: Floats, rounds: Floats, window: int) -> Floats:
    """Return means over each bin and as many before it as make up `window` rounds, weighed by their lengths.

    Args:
        values: (seeds, b) means of bins.
        rounds: (b,) their last rounds.
        window: rounds; where fewer have passed, all of them count.
    """
    lengths = np.diff(rounds, prepend=0.0)
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values * lengths, axis=1)], axis=1)
    passed = np.concatenate([[0.0], rounds])
    starts = np.searchsorted(passed, np.maximum(rounds - window, 0.0), side="right") - 1
    spans = rounds - passed[starts]
    return np.asarray((sums[:, 1:] - sums[:, starts]) / spans, dtype=np.float64)


def thinned(rounds: Floats, values: Floats, *, keep_last: bool = False, most: int = _MOST) -> tuple[Floats, Floats]:
    """Return at most `most` points of curves (seeds, b, ...): means of neighbouring bins, or the last of each group."""
    if len(rounds) <= most:
        return rounds, values
    size = -(-len(rounds) // most)
    ends = [min(start + size, len(rounds)) for start in range(0, len(rounds), size)]
    if keep_last:
        last_bins = np.array(ends) - 1
        return rounds[last_bins], values[:, last_bins]
    lengths = np.diff(rounds, prepend=0.0)
    groups = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    means = [np.average(values[:, group], axis=1, weights=lengths[group]) for group in groups]
    return rounds[np.array(ends) - 1], np.stack(means, axis=1)


def series(policy_band: Band, name: str, look: Look, *, shaded: bool = True) -> Series:
    """Return the mean as a line and, if `shaded` and known, the interval as a band around it."""
    shaded = shaded and bool(np.isfinite(policy_band.low).all())
    low, high = (policy_band.low.tolist(), policy_band.high.tolist()) if shaded else ((), ())
    return Series(
        name,
        look.policies[name],
        policy_band.rounds.tolist(),
        policy_band.mean.tolist(),
        low,
        high,
        dash=look.dash(name),
    )


def framed(window: Window, lines: Sequence[Series]) -> tuple[Window, list[Series], str]:
    """Return a window that holds the lines' bands whole, the lines without those too wide for it, and which these are.

    Args:
        window: what the lines' means need.
        lines: with their bands.
    """
    ends = {line.name: (min(line.low), max(line.high)) for line in lines if len(line.low)}
    window, held = window.with_bands(ends)
    kept = [line if line.name in held else replace(line, low=(), high=()) for line in lines]
    left = [name for name in ends if name not in held]
    return window, kept, f" Too wide to be drawn: the intervals of {', '.join(left)}." if left else ""
