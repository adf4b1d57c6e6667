"""Always the same arm: what a router must beat."""

from collections.abc import Sequence

import numpy as np

from highwayman.bandit import snapshot
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange


class Fixed:
    """Chooses one arm whenever it may answer, any of the others alike when it may not. Learns nothing."""

    def __init__(self, *, d: int, fingerprint: str = "", arm: str = "") -> None:
        """Take the arm.

        Args:
            d: does not matter here.
            fingerprint: does not matter here.
            arm: its name; empty, it is the first that is added.
        """
        self._arm = arm

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return 1 for the arm, shape (K,)."""
        chosen = np.array([arm == self._arm for arm in arms], dtype=np.float64)
        return chosen if chosen.any() else np.full(len(arms), 1.0 / len(arms))

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Do nothing."""

    def add_arm(self, name: str) -> None:
        """Take the first arm, if none was named."""
        self._arm = self._arm or name

    def drop_arm(self, name: str) -> None:
        """Do nothing."""

    def state(self) -> bytes:
        """Return a snapshot that holds the arm."""
        return snapshot.pack({"kind": "fixed", "arm": self._arm}, {})

    def restore(self, state: bytes) -> None:
        """Take the snapshot's arm. Raises SnapshotError if it is none of this policy's."""
        header, _ = snapshot.unpack(state)
        if header.get("kind") != "fixed":
            raise SnapshotError(f"snapshot is of {header.get('kind')!r}; wanted fixed")
        self._arm = str(header.get("arm", ""))
