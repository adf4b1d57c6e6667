"""Which of two answers was preferred: the newest comparisons one by one, the older ones as sums per pair of arms."""

import hashlib
import math
from typing import Any, Self

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.preferences.bradley_terry import Duels, add_difference, laplace_factors
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, PreferenceChange

_TRACES = 20_000  # folded comparisons of which is remembered what they were folded as
_NOTHING = 1e-12  # a weight that is what rounding leaves
_ROUNDING = 1e-6  # a negative eigenvalue of this share of the trace is what rounding leaves
_ASYMMETRY = 1e-9  # of a pair's sums, by their trace: more is damage
_FIRST, _SECOND, _WEIGHT, _SHARE, _X = range(5)  # columns of a comparison; the features begin at the last


class Comparisons:
    """Comparisons of arms by place, each with the gap in quality at which it is taken for Gaussian.

    At most `most` are held; beyond that the oldest quarter is folded: a Laplace factor each, at the gap it has then,
    summed per pair of arms (as batches are in Chapelle & Li, "An Empirical Evaluation of Thompson Sampling", NeurIPS
    2011, algorithm 3, there with a diagonal). Of a folded one stay a hash, its weight and its gap, so that it can still
    be taken back as what it was folded as; of the newest 20,000 folded ones, that is. Routing breaks the assumption
    that a gap has settled by the time it is folded: a rare kind of query may come again much later.
    """

    def __init__(self, *, d: int, scale: float, most: int) -> None:
        """Start without comparisons.

        Args:
            d: number of features.
            scale: log-odds of being preferred per unit of quality.
            most: comparisons that are held.
        """
        self.d, self.most, self._scale = d, most, scale
        self._held: Floats = np.empty((0, _X + d))  # with rows to spare; the first len(self) rows count
        self._gaps: Floats = np.empty(0)
        self._count = 0
        self._pairs: dict[tuple[int, int], int] = {}  # folded evidence on a difference, by places, and where it is
        self._a: Floats = np.zeros((0, d, d))
        self._b: Floats = np.zeros((0, d))
        self._keys = np.zeros(0, dtype=np.uint64)
        self._traces: Floats = np.zeros((0, 2))  # weight and gap

    def __len__(self) -> int:
        """Return the number of comparisons held."""
        return self._count

    def duels(self) -> Duels:
        """Return the comparisons held, oldest first."""
        held = self._held[: self._count]
        first, second = held[:, _FIRST].astype(np.intp), held[:, _SECOND].astype(np.intp)
        return Duels(first, second, held[:, _WEIGHT], held[:, _SHARE], held[:, _X:])

    def places(self) -> list[int]:
        """Return the places of all arms that were compared, rising."""
        held = self._held[: self._count, : _SECOND + 1]
        return sorted({int(place) for place in np.unique(held)} | {place for pair in self._pairs for place in pair})

    def row(self, better: int, worse: int, change: PreferenceChange) -> Floats:
        """Return a comparison as it is held: the lower place first, whoever was preferred.

        Raises:
            ValueError: an arm compared with itself, features of another length, a share or weight that is none.
        """
        if better == worse:
            raise ValueError(f"{change.better!r} cannot be better than itself")
        if change.features.shape != (self.d,):
            raise ValueError(f"features must have shape ({self.d},), got {change.features.shape}")
        if not 0.0 <= change.share <= 1.0:
            raise ValueError(f"share must be in [0, 1], got {change.share!r}")
        if not math.isfinite(change.weight):
            raise ValueError(f"weight must be a finite number, got {change.weight!r}")
        share = change.share if better < worse else 1.0 - change.share
        return np.array([min(better, worse), max(better, worse), abs(change.weight), share, *change.features])

    def add(self, row: Floats, gap: float) -> tuple[float, float]:
        """Hold one more comparison, taken for Gaussian at a gap; return the precision and pull that it counts as."""
        if self._count == len(self._held):
            more_rows = max(16, self._count)
            self._held = np.concatenate([self._held, np.empty((more_rows, _X + self.d))])
            self._gaps = np.concatenate([self._gaps, np.empty(more_rows)])
        self._held[self._count], self._gaps[self._count] = row, gap
        self._count += 1
        return self._factor(row[_WEIGHT], row[_SHARE], gap)

    def remove(self, row: Floats) -> tuple[float, float]:
        """Take back as much of a comparison as its weight says, the newest like it first; the rest was never held.

        Returns:
            Precision and pull, as Gaussian evidence on the first one's quality minus the second one's, that are gone.
        """
        remaining, removed = self._take_held(row)
        if remaining > _NOTHING:
            removed += self._take_folded(row, remaining)
        precision, pull = removed.tolist()
        return precision, pull

    def _take_held(self, row: Floats) -> tuple[float, Floats]:
        """Return how much weight was not found among those held, and precision and pull of what was."""
        held, remaining, removed = self._held[: self._count], float(row[_WEIGHT]), np.zeros(2)
        alike = (held[:, :_WEIGHT] == row[:_WEIGHT]).all(axis=1) & (held[:, _SHARE:] == row[_SHARE:]).all(axis=1)
        for place in np.flatnonzero(alike)[::-1]:
            weight = min(remaining, float(held[place, _WEIGHT]))
            removed += self._factor(weight, row[_SHARE], self._gaps[place])
            held[place, _WEIGHT] -= weight
            remaining -= weight
            if held[place, _WEIGHT] <= _NOTHING:
                self._held[place : self._count - 1] = self._held[place + 1 : self._count]
                self._gaps[place : self._count - 1] = self._gaps[place + 1 : self._count]
                self._count -= 1
            if remaining <= _NOTHING:
                break
        return remaining, removed

    def _take_folded(self, row: Floats, remaining: float) -> Floats:
        """Return precision and pull of what was found among the folded ones."""
        removed = np.zeros(2)
        for place in np.flatnonzero(self._keys == _key(row))[::-1]:
            weight = min(remaining, float(self._traces[place, 0]))
            removed += self._factor(weight, row[_SHARE], self._traces[place, 1])
            self._traces[place, 0] -= weight
            remaining -= weight
        if removed.any():
            at, x = self._pairs[int(row[_FIRST]), int(row[_SECOND])], row[_X:]
            self._a[at] -= removed[0] * np.outer(x, x)
            self._b[at] -= removed[1] * x
            stay = self._traces[:, 0] > _NOTHING
            self._keys, self._traces = self._keys[stay], self._traces[stay]
        return removed

    def _factor(self, weight: float, share: float, gap: float) -> tuple[float, float]:
        """Return precision and pull of one comparison."""
        weights, shares, gaps = np.array([[weight], [share], [gap]])
        precisions, pulls = laplace_factors(weights, shares, gaps, self._scale)
        return float(precisions[0]), float(pulls[0])

    def linearise(self, theta: Floats) -> None:
        """Take every comparison held for Gaussian at its gap under coefficients (K, d)."""
        self._gaps[: self._count] = self.duels().gaps(theta)

    def condense(self) -> None:
        """Fold the oldest quarter of those that may be held, and all that are too many, at their gaps."""
        n = min(self._count, max(self._count - self.most, self.most // 4, 1))
        duels, gaps = self.duels(), self._gaps[:n]
        precisions, pulls = laplace_factors(duels.weights[:n], duels.shares[:n], gaps, self._scale)
        for first, second in sorted(set(zip(duels.first[:n].tolist(), duels.second[:n].tolist(), strict=True))):
            part = np.flatnonzero((duels.first[:n] == first) & (duels.second[:n] == second))
            at, x = self._pair(first, second), duels.features[part]
            self._a[at] += x.T @ (precisions[part, None] * x)
            self._b[at] += pulls[part] @ x
        keys = np.array([_key(row) for row in self._held[:n]], dtype=np.uint64)
        self._keys = np.concatenate([self._keys, keys])[-_TRACES:]
        self._traces = np.concatenate([self._traces, np.stack([duels.weights[:n], gaps], axis=1)])[-_TRACES:]
        self._held, self._gaps, self._count = self._held[n:].copy(), self._gaps[n:].copy(), self._count - n

    def _pair(self, first: int, second: int) -> int:
        """Return where a pair's sums are, and begin them if need be."""
        if (first, second) not in self._pairs:
            self._pairs[first, second] = len(self._pairs)
            self._a = np.concatenate([self._a, np.zeros((1, self.d, self.d))])
            self._b = np.concatenate([self._b, np.zeros((1, self.d))])
        return self._pairs[first, second]

    def add_condensed(self, precision: Floats, pull: Floats, places: list[int]) -> None:
        """Add what was folded to precision (J, d, J, d) and pull (J, d) of a Gaussian of the arms at `places`."""
        for pair, at in self._pairs.items():
            first, second = (places.index(place) for place in pair)
            add_difference(precision, first, second, self._a[at])
            pull[first] += self._b[at]
            pull[second] -= self._b[at]

    def arrays(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Return all of it as a snapshot holds it; gaps of those held follow from the rest."""
        return {
            "held": self._held[: self._count],
            "pairs": np.array(list(self._pairs), dtype=np.int64).reshape(-1, 2),
            "pair_a": self._a,
            "pair_b": self._b,
            "trace_keys": self._keys,
            "traces": self._traces,
        }

    def from_arrays(self, arrays: snapshot.Arrays, k: int) -> Self:
        """Return the comparisons of k arms in a snapshot. Raises SnapshotError if they are none."""
        comparisons = type(self)(d=self.d, scale=self._scale, most=self.most)
        _check(arrays, d=self.d, k=k)
        comparisons._held, comparisons._count = arrays["held"].copy(), len(arrays["held"])
        comparisons._gaps = np.zeros(comparisons._count)
        comparisons._pairs = {(int(first), int(second)): at for at, (first, second) in enumerate(arrays["pairs"])}
        comparisons._a, comparisons._b = arrays["pair_a"].copy(), arrays["pair_b"].copy()
        comparisons._keys, comparisons._traces = arrays["trace_keys"].copy(), arrays["traces"].copy()
        return comparisons


def _key(row: Floats) -> int:
    """Return a hash of a comparison but for its weight."""
    identity = row[[_FIRST, _SECOND, *range(_SHARE, len(row))]]
    return int.from_bytes(hashlib.blake2b(identity.tobytes(), digest_size=8).digest(), "little")


def _check(arrays: snapshot.Arrays, *, d: int, k: int) -> None:
    """Raise SnapshotError for arrays that are not comparisons of k arms on d features."""
    n, pairs, traces = (len(arrays.get(name, ())) for name in ("held", "pairs", "traces"))
    expected_shapes = {
        "held": (n, _X + d),
        "pairs": (pairs, 2),
        "pair_a": (pairs, d, d),
        "pair_b": (pairs, d),
        "trace_keys": (traces,),
        "traces": (traces, 2),
    }
    shapes = {name: arrays[name].shape for name in expected_shapes if name in arrays}
    if shapes != expected_shapes:
        raise SnapshotError(f"snapshot's comparisons have shapes {shapes}, wanted {expected_shapes}")
    held, places = arrays["held"], np.concatenate([arrays["held"][:, :_WEIGHT], arrays["pairs"]])
    lower, upper = places.T
    if (places != np.floor(places)).any() or (lower < 0).any() or (lower >= upper).any() or (upper >= k).any():
        raise SnapshotError(f"snapshot holds comparisons that are not of two of its {k} arms")
    weights = np.concatenate([held[:, _WEIGHT], arrays["traces"][:, 0]])
    if (weights <= 0).any() or (np.abs(held[:, _SHARE] - 0.5) > 0.5).any():
        raise SnapshotError("snapshot holds a comparison with a weight that is not > 0, or a share that is none")
    a = arrays["pair_a"]
    if not a.size:
        return
    traces_of = np.maximum(np.trace(a, axis1=1, axis2=2), 1.0)
    if (np.abs(a - a.transpose(0, 2, 1)).max(axis=(1, 2)) > _ASYMMETRY * traces_of).any():
        raise SnapshotError("snapshot holds comparisons whose precision is not symmetric")
    if (np.linalg.eigvalsh(a)[:, 0] < -_ROUNDING * traces_of).any():
        raise SnapshotError("snapshot holds comparisons whose precision is not positive semidefinite")
