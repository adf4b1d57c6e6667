"""The bootstrap over sessions, in one pass."""

import math
from copy import deepcopy

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.measures.student_t import student_t
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.intervals.normal import checked_level
from highwayman.sims.ope.intervals.session_hash import hashed
from highwayman.sims.ope.intervals.session_sums import SessionSums

# Poisson(1) by its quantile, an entry for each 16-bit number; beyond 8 lies less than one of them.
_EDGES = np.exp(-1.0) * np.cumsum(1.0 / np.cumprod([1.0, *range(1, 9)]))
_QUANTILES = np.searchsorted(_EDGES, (np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.float64)
_PER_HASH = 4  # draws of 16 bits in one hash of 64
_HANDFUL = 10  # sessions
_SHARE = 512  # sessions resampled at once: keeps the weights in the processor's cache


class ClusteredBootstrap:
    """Bootstrap-t over sessions: every replicate counts each session Poisson(1) times.

    Poisson weights make the resampling a single pass (Hanley & MacGibbon, "Creating non-parametric bootstrap samples
    using Poisson frequencies", 2006; Chamandy et al., "Estimating Uncertainty for Massive Data Streams", 2012). A
    weight is a hash of the session's bucket, the replicate and the seed, so order and chunks do not matter, and two
    policies on one log are resampled alike. Sessions are summed first, and resampled when the interval is asked for.

    The interval is studentised (Efron & Tibshirani 1993, section 12.5), value - q * stderr with q the quantiles of
    (replicate's value - value) / replicate's stderr: importance ratios are skewed, and percentiles then cover too
    little. It takes sessions for independent, which a logging policy that learned while logging breaks.
    """

    def __init__(self, *, level: float = 0.95, replicates: int = 400, seed: int = 0) -> None:
        """Start without rounds.

        Args:
            level: confidence.
            replicates: how often the sessions are resampled.
            seed: of the weights.
        """
        if replicates < 20:
            raise ValueError(f"replicates must be >= 20, got {replicates!r}")
        self._level = checked_level(level)
        self._replicates = replicates
        self._seed = seed
        self._sums = SessionSums()
        self._pseudo: RoundValues | None = None

    def add(self, rounds: RoundValues) -> None:
        """Take the next rounds."""
        self._sums.add(rounds)

    def steady(self, rounds: RoundValues) -> None:
        """Take pseudo-rounds, which widen the interval; a handful of sessions stays too few for one."""
        self._pseudo = rounds

    def interval(self) -> tuple[float, float]:
        """Return the lower and the upper end; NaN for fewer than two sessions."""
        value, (stderr, sessions) = self._sums.value(), self._sums.stderr()
        if not stderr >= 0:
            return math.nan, math.nan
        upper, lower = self._quantiles(value) if stderr else (0.0, 0.0)
        if self._pseudo is not None and (sessions >= _HANDFUL or not math.isnan(upper)):
            sums, reach = deepcopy(self._sums), student_t(sessions - 1, self._level)
            sums.add(self._pseudo)
            value, stderr = sums.value(), max(stderr, sums.stderr()[0])
            # Where nearly all are alike, replicates do not tell how the rare ones are spread.
            upper, lower = float(np.fmax(upper, reach)), float(np.fmin(lower, -reach))
        return value - upper * stderr, value - lower * stderr

    def _quantiles(self, value: float) -> tuple[float, float]:
        """Return the upper and the lower quantile of the replicates' t; NaN where too few of them vary."""
        values, stderrs = self._resampled(value)
        good = stderrs > 0
        if good.mean() < 0.9:  # a handful of sessions: most replicates are one session over and over
            return math.nan, math.nan
        t = (values[good] - value) / stderrs[good]
        tail = (1 - self._level) / 2
        upper, lower = np.quantile(t, [1 - tail, tail], method="weibull")
        return float(upper), float(lower)

    def _resampled(self, value: float) -> tuple[Floats, Floats]:
        """Return value and standard error of each replicate, two arrays (replicates,)."""
        index, numerators, denominators = self._sums.occupied()
        residuals = numerators - value * denominators  # centred: the squares below would cancel otherwise
        columns = np.stack([residuals, denominators, residuals**2, residuals * denominators, denominators**2], axis=1)
        sums = np.zeros((self._replicates, 5))
        for start in range(0, len(index), _SHARE):
            part = slice(start, start + _SHARE)
            sums += poisson_weights(index[part], replicates=self._replicates, seed=self._seed) @ columns[part]
        n, d, nn, nd, dd = sums.T
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = n / d
            variance = nn - 2 * shift * nd + shift**2 * dd
            return value + shift, np.sqrt(np.maximum(variance, 0.0)) / d


def poisson_weights(index: Floats, *, replicates: int, seed: int) -> Floats:
    """Return how often each replicate counts each session, shape (replicates, m): independent Poisson(1) draws."""
    hashes = -(-replicates // _PER_HASH)
    keys = index.astype(np.uint64)[None, :] * np.uint64(hashes) + np.arange(hashes, dtype=np.uint64)[:, None]
    bits = hashed(keys, salt=seed + 2)  # salt 1 files sessions in buckets
    weights = np.empty((_PER_HASH, hashes, len(index)))
    for k in range(_PER_HASH):
        draws = (bits >> np.uint64(16 * k)).astype(np.uint16)
        np.take(_QUANTILES, draws, out=weights[k], mode="clip")
    return weights.reshape(-1, len(index))[:replicates]
