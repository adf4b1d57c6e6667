"""What was said of each arm, as sums over rounds: any round can be changed or undone, and shards can be merged."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, RewardChange

_ROUNDING = 1e-6  # a negative eigenvalue of this share of the trace is what rounding leaves of taking rounds back
_ASYMMETRY = 1e-9  # of a matrix of sums, relative to its largest entry: more is damage


class ArmStatistics:
    """Per arm sum w x x^T, sum w r x, sum w and sum w r^2 over its rounds. No prior is in them.

    Where what was said fades by factors f, `squared_weight_sums` sums f^2 w x x^T besides: a round that counts half
    informs half, but is as noisy as ever.
    """

    def __init__(self, d: int, *, fades: bool = False) -> None:
        """Start without arms, for features (d,)."""
        self.d = d
        self._rows: dict[str, int] = {}
        self.a: Floats = np.zeros((0, d, d))  # (K, d, d)
        self.b: Floats = np.zeros((0, d))  # (K, d)
        self.sums: Floats = np.zeros((0, 2))  # (K, 2)
        self.squared_weight_sums: Floats | None = np.zeros((0, d, d)) if fades else None  # (K, d, d)
        self._outer: Floats = np.empty((d, d))  # room for a rank-one matrix
        # The arms asked for last, and what selects them: an arm's place never changes.
        self._selected: tuple[tuple[str, ...], slice | list[int]] = (), slice(0, 0)

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm known, in the order they were added."""
        return tuple(self._rows)

    def __len__(self) -> int:
        """Return the number of arms."""
        return len(self._rows)

    def add_arm(self, name: str) -> bool:
        """Begin an arm; return False, and change nothing, if it is known."""
        if name in self._rows:
            return False
        self._rows[name] = len(self._rows)
        self.a = np.concatenate([self.a, np.zeros((1, self.d, self.d))])
        self.b = np.concatenate([self.b, np.zeros((1, self.d))])
        self.sums = np.concatenate([self.sums, np.zeros((1, 2))])
        if self.squared_weight_sums is not None:
            self.squared_weight_sums = np.concatenate([self.squared_weight_sums, np.zeros((1, self.d, self.d))])
        return True

    def copy(self) -> "ArmStatistics":
        """Return a copy of the sums."""
        same = ArmStatistics(self.d)
        same._rows, same.a, same.b, same.sums = dict(self._rows), self.a.copy(), self.b.copy(), self.sums.copy()
        same.squared_weight_sums = None if self.squared_weight_sums is None else self.squared_weight_sums.copy()
        return same

    def of_features(self, places: Sequence[int]) -> "ArmStatistics":
        """Return a copy of the sums over some of the features, as if rounds had no others."""
        part = ArmStatistics(len(places))
        part._rows, part.sums = dict(self._rows), self.sums.copy()
        part.a, part.b = self.a[:, places][:, :, places], self.b[:, places]
        return part

    def widened(self, count: int) -> "ArmStatistics":
        """Return a copy of the sums with so many features more, before the others, that were 0 in every round."""
        wider = ArmStatistics(count + self.d)
        wider._rows, wider.sums = dict(self._rows), self.sums.copy()
        wider.a = np.pad(self.a, ((0, 0), (count, 0), (count, 0)))
        wider.b = np.pad(self.b, ((0, 0), (count, 0)))
        return wider

    def row(self, arm: str) -> int:
        """Return the arm's place. Raises ValueError for an unknown one."""
        try:
            return self._rows[arm]
        except KeyError:
            raise ValueError(f"unknown arm {arm!r}; known are {', '.join(self._rows) or 'none'}") from None

    def checked_row(self, change: RewardChange) -> int:
        """Return the place of a change's arm. Raises ValueError for an unknown one or features of another length."""
        if change.features.shape != (self.d,):
            raise ValueError(f"features must have shape ({self.d},), got {change.features.shape}")
        return self.row(change.arm)

    def select(self, arms: Sequence[str]) -> slice | list[int]:
        """Return what selects the arms' places, without a copy where they are all of them in order."""
        asked, rows = self._selected
        if asked != arms:
            places = [self.row(arm) for arm in arms]
            rows = slice(0, len(places)) if places == list(range(len(places))) else places
            self._selected = tuple(arms), rows
        return rows

    def add(self, row: int, change: RewardChange, factor: float = 1.0) -> None:
        """Add a change of reward, its weights times `factor`. Raises ValueError for features of another length."""
        x = change.features
        if x.shape != (self.d,):
            raise ValueError(f"features must have shape ({self.d},), got {x.shape}")
        self.sums[row, 0] += factor * change.weight
        self.sums[row, 1] += factor * change.squared
        self.b[row] += factor * change.weighted * x
        if change.weight:
            left = factor * change.weight * x
            left[:, None].dot(x[None, :], out=self._outer)  # twice as fast as multiplying with broadcasting
            self.a[row] += self._outer
            if self.squared_weight_sums is not None:
                self._outer *= factor
                self.squared_weight_sums[row] += self._outer

    def scale(self, factor: float, row: int | slice = slice(None)) -> None:
        """Multiply everything said of one arm, or of all, by `factor`."""
        for sums in (self.a, self.b, self.sums):
            sums[row] *= factor
        if self.squared_weight_sums is not None:
            self.squared_weight_sums[row] *= factor**2

    def weight(self) -> float:
        """Return the weight of all feedback standing, over all arms."""
        return float(np.add.reduce(self.sums[:, 0]))

    def merge(self, other: "ArmStatistics") -> None:
        """Add what another shard of the same traffic was told. Raises ValueError for features of another length."""
        if other.d != self.d:
            raise ValueError(f"sums of {other.d} features do not go with sums of {self.d}")
        for name, place in other._rows.items():
            self.add_arm(name)
            twice = None if other.squared_weight_sums is None else other.squared_weight_sums[place]
            self.add_evidence_at(
                self.row(name), other.a[place], other.b[place], other.sums[place], squared_weight_sums=twice
            )

    def add_evidence(self, arm: str, a: Floats, b: Floats, sums: Floats) -> None:
        """Add evidence on an arm that was gathered elsewhere: sums as they are kept here."""
        self.add_evidence_at(self.row(arm), a, b, sums)

    def add_evidence_at(
        self, row: int, a: Floats, b: Floats, sums: Floats, *, squared_weight_sums: Floats | None = None
    ) -> None:
        """Add evidence on the arm at a place; without `squared_weight_sums`, of rounds that count in full."""
        self.a[row] += a
        self.b[row] += b
        self.sums[row] += sums
        if self.squared_weight_sums is not None:
            self.squared_weight_sums[row] += a if squared_weight_sums is None else squared_weight_sums

    def warm_start(self, like: str, arm: str, *, weight: float) -> None:
        """Give an arm what was said of another one, scaled to a total weight: an effective sample size.

        Raises:
            ValueError: an arm is unknown, or `weight` is not > 0.
        """
        if not (np.isfinite(weight) and weight > 0):
            raise ValueError(f"weight must be > 0, got {weight!r}")
        row = self.row(like)
        known = float(self.sums[row, 0])
        share = min(weight / known, 1.0) if known > 0 else 0.0
        twice = None if self.squared_weight_sums is None else share * self.squared_weight_sums[row]
        self.add_evidence_at(
            self.row(arm), share * self.a[row], share * self.b[row], share * self.sums[row], squared_weight_sums=twice
        )

    def arrays(self) -> dict[str, Floats]:
        """Return the sums as a snapshot holds them."""
        sums = {"a": self.a, "b": self.b, "sums": self.sums}
        return sums if self.squared_weight_sums is None else {**sums, "twice": self.squared_weight_sums}

    @classmethod
    def from_snapshot(
        cls,
        header: dict[str, Any],
        arrays: snapshot.Arrays,
        *,
        kind: str,
        d: int,
        fingerprint: str,
        fades: bool = False,
    ) -> "ArmStatistics":
        """Return the sums in a snapshot. Raises SnapshotError if it is of another kind, or damaged."""
        if header.get("kind") != kind or header.get("d") != d:
            raise SnapshotError(f"snapshot is of {header.get('kind')!r}, d={header.get('d')}; wanted {kind}, d={d}")
        if header.get("fingerprint") != fingerprint:
            raise SnapshotError(
                f"snapshot was learned on features of encoder {header.get('fingerprint')!r}, "
                f"this one is {fingerprint!r}; features of two encoders do not mix"
            )
        arms = [str(name) for name in header.get("arms") or ()]
        if len(set(arms)) != len(arms):
            raise SnapshotError(f"snapshot names one of its arms twice: {', '.join(arms)}")
        k, twice = len(arms), arrays.get("twice", arrays.get("a"))  # none: nothing has faded so far
        held = {name: arrays[name] for name in ("a", "b", "sums") if name in arrays}
        if fades and twice is not None:
            held["twice"] = twice
        shapes = {name: array.shape for name, array in held.items()}
        right = {"a": (k, d, d), "b": (k, d), "sums": (k, 2)}
        if shapes != (right | {"twice": (k, d, d)} if fades else right):
            raise SnapshotError(f"snapshot's arrays have shapes {shapes}, which {k} arms of {d} features do not")
        statistics = cls(d, fades=fades)
        statistics._rows = {name: row for row, name in enumerate(arms)}
        statistics.a, statistics.b, statistics.sums = (held[name].copy() for name in right)
        _check_squares(statistics.a)
        if fades:
            statistics.squared_weight_sums = held["twice"].copy()
            _check_squares(statistics.squared_weight_sums)
        return statistics


def _check_squares(sums: Floats) -> None:
    """Return if each matrix (K, d, d) can be a sum over rounds of squares. Raises SnapshotError."""
    if not sums.size:
        return
    if np.abs(sums - sums.transpose(0, 2, 1)).max() > _ASYMMETRY * max(float(np.abs(sums).max()), 1.0):
        raise SnapshotError("snapshot holds a matrix of sums that is not symmetric")
    traces = np.trace(sums, axis1=1, axis2=2)
    if (np.linalg.eigvalsh(sums)[:, 0] < -_ROUNDING * np.maximum(traces, 1.0)).any():
        raise SnapshotError("snapshot holds a matrix of sums that is not positive semidefinite: it is of no rounds")
