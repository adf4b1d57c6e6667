"""The stored question most like another, among those that may be compared with it."""

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats


class NearestQuestions:
    """The newest questions of all groups, by their vectors; one product of a matrix and a vector finds the nearest."""

    def __init__(self, width: int, *, entries: int) -> None:
        """Take the vectors' dimensions, and how many are kept; the oldest go first."""
        self._vectors: npt.NDArray[np.float32] = np.zeros((0, width), dtype=np.float32)  # (rows, width), grows
        self._groups: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # (rows,) the group's number at each row
        self._names: list[str] = []  # of the rows
        self._numbers: dict[str, int] = {}  # of groups
        self._groups_seen = 0
        self._entries = entries
        self._oldest = 0  # the row that goes next, once all are taken

    def add(self, name: str, group: str, vector: bytes) -> None:
        """Keep a question's vector, float16 of length 1; one of another width is passed over."""
        row = np.frombuffer(vector, dtype=np.float16)
        if len(row) != self._vectors.shape[1]:
            return
        if len(self._names) < self._entries:
            place = len(self._names)
            self._names.append(name)
            if place == len(self._vectors):
                self._grow()
        else:
            place, self._oldest = self._oldest, (self._oldest + 1) % self._entries
            self._names[place] = name
        self._vectors[place] = row
        if group not in self._numbers:
            self._numbers[group], self._groups_seen = self._groups_seen, self._groups_seen + 1
        self._groups[place] = self._numbers[group]
        if len(self._numbers) > 2 * self._entries:
            left = set(self._groups.tolist())
            self._numbers = {name: number for name, number in self._numbers.items() if number in left}

    def nearest(self, group: str, vector: Floats) -> tuple[str, float] | None:
        """Return the name of the question of a group whose vector (width,) is nearest, and their cosine; None: none."""
        number = self._numbers.get(group)
        if number is None:
            return None
        count = len(self._names)
        cosines = self._vectors[:count] @ vector.astype(np.float32)
        cosines[self._groups[:count] != number] = -np.inf
        place = int(cosines.argmax())
        return (self._names[place], min(float(cosines[place]), 1.0)) if np.isfinite(cosines[place]) else None

    def drop(self, name: str) -> None:
        """Keep a question no longer; nothing if there is none of this name."""
        if name in self._names:
            self._groups[self._names.index(name)] = -1

    def _grow(self) -> None:
        rows = min(max(2 * len(self._vectors), 64), self._entries)
        more = rows - len(self._vectors)
        self._vectors = np.concatenate([self._vectors, np.zeros((more, self._vectors.shape[1]), dtype=np.float32)])
        self._groups = np.concatenate([self._groups, np.full(more, -1)])
