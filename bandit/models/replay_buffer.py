"""The newest rounds of feedback, held so that a change of reward finds the round it belongs to."""

from collections.abc import Iterator
from enum import Enum
from itertools import islice

import numpy as np

from highwayman.bandit.snapshot import Arrays
from highwayman.env.types import Floats, RewardChange

PLACE, AT, WEIGHT, WEIGHTED, SQUARED, FEATURES = range(6)  # columns of a round; the features begin at the last

_ROUNDING = 1e-9  # a weight that is what rounding leaves of taking a round back


class BufferUpdate(Enum):
    """What a change turned out to be."""

    NEW = "a round of its own"
    CHANGED = "of a round that is held"
    FORGOTTEN = "of a round that is not held, or not any more"


class ReplayBuffer:
    """Rounds in the order they came, each with its sums of w, w r and w r^2.

    A round is known by its arm, its context and when it was decided. Without a time, feedback with weight is a new
    round, and a change is taken to be of the newest round of that arm and context that it leaves possible. A round
    taken back whole is gone, as if it had never been.
    """

    def __init__(self, *, d: int) -> None:
        """Start without rounds, for features (d,)."""
        self.d = d
        self._rounds: dict[int, Floats] = {}  # by number, oldest first
        self._numbers: dict[bytes, list[int]] = {}  # of the rounds of one arm, context and time
        self._next = 0

    def __len__(self) -> int:
        """Return the number of rounds held."""
        return len(self._rounds)

    def __iter__(self) -> Iterator[Floats]:
        """Return the rounds, oldest first: each place, time, w, w r, w r^2, features, (5 + d,)."""
        return iter(self._rounds.values())

    def apply(self, place: int, change: RewardChange) -> BufferUpdate:
        """Hold a new round of the arm at `place`, or change one that is held; return which it was.

        Raises ValueError for features of another length.
        """
        x = change.features
        if x.shape != (self.d,):
            raise ValueError(f"features must have shape ({self.d},), got {x.shape}")
        row = np.array([place, change.at, change.weight, change.weighted, change.squared, *x])
        numbers = self._numbers.get(_key(row), [])
        if change.weight > 0 and not (numbers and change.at):
            self._hold(row)
            return BufferUpdate.NEW
        number = self._round_of(numbers, row)
        if number is None:
            return BufferUpdate.FORGOTTEN
        self._change(number, row)
        return BufferUpdate.CHANGED

    def _hold(self, row: Floats) -> None:
        self._rounds[self._next] = row
        self._numbers.setdefault(_key(row), []).append(self._next)
        self._next += 1

    def _round_of(self, numbers: list[int], change: Floats) -> int | None:
        """Return which round the change is of: one that it leaves with a mean in [0, 1], else with some weight.

        Where only the rounds of this arm and context together have the weight, they become one: sums stay sums.
        """
        after = [(n, *(self._rounds[n] + change)[WEIGHT:SQUARED].tolist()) for n in reversed(numbers)]
        possible = [n for n, w, wr in after if w >= -_ROUNDING and -_ROUNDING <= wr <= w + _ROUNDING]
        enough = [n for n, w, _ in after if w > _ROUNDING]
        if not (possible or enough) and len(numbers) > 1:
            newest, *others = reversed(numbers)
            for number in others:
                self._rounds[newest][WEIGHT:FEATURES] += self._rounds[number][WEIGHT:FEATURES]
                self._forget(number)
            return self._round_of([newest], change)
        return next(iter(possible + enough), None)

    def _change(self, number: int, change: Floats) -> None:
        row = self._rounds[number]
        row[WEIGHT:FEATURES] += change[WEIGHT:FEATURES]
        if row[WEIGHT] <= _ROUNDING:
            self._forget(number)

    def _forget(self, number: int) -> None:
        key = _key(self._rounds.pop(number))
        self._numbers[key].remove(number)
        if not self._numbers[key]:
            del self._numbers[key]

    def pop_oldest(self, count: int) -> list[Floats]:
        """Return the oldest rounds, which are forgotten from here on: a change of them is ignored."""
        numbers = list(islice(self._rounds, max(count, 0)))
        rounds = [self._rounds[number] for number in numbers]
        for number in numbers:
            self._forget(number)
        return rounds

    def table(self) -> Floats:
        """Return the rounds as one matrix (n, 5 + d), oldest first."""
        return np.array(list(self._rounds.values())).reshape(-1, FEATURES + self.d)

    def arrays(self) -> Arrays:
        """Return the rounds as a snapshot holds them: features in single precision where that says the same."""
        table = self.table()
        features = table[:, FEATURES:]
        short = features.astype(np.float32)
        return {"rounds": table[:, :FEATURES], "features": short if np.array_equal(short, features) else features}

    @classmethod
    def from_arrays(cls, arrays: Arrays, *, d: int, arms: int) -> "ReplayBuffer":
        """Return the rounds in a snapshot. Raises ValueError if they are not of d features and so many arms."""
        rounds, features = (np.asarray(arrays.get(name, np.empty(0)), np.float64) for name in ("rounds", "features"))
        if rounds.ndim != 2 or rounds.shape[1] != FEATURES or features.shape != (len(rounds), d):
            raise ValueError(f"rounds of shapes {rounds.shape} and {features.shape} are not of {d} features")
        places = rounds[:, PLACE]
        if not (np.isin(places, np.arange(arms)).all() and (rounds[:, WEIGHT] > 0).all()):
            raise ValueError(f"rounds of weight 0 or of other arms than the {arms} named")
        buffer = cls(d=d)
        for row in np.hstack([rounds, features]):
            buffer._hold(row)
        return buffer


def _key(row: Floats) -> bytes:
    """Return what a round is known by."""
    return row[: AT + 1].tobytes() + row[FEATURES:].tobytes()
