"""The cheapest arm: what a router must be worth more than."""

from collections.abc import Sequence

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.draw import greedy_probs
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange


class Cheapest:
    """Chooses the arm with the smallest penalty, equal ones alike. Learns nothing.

    Where the caller does not mind cost, all penalties are zero, and so every arm is alike.
    """

    def __init__(self, *, d: int, fingerprint: str = "") -> None:
        """Take the arguments every policy takes; none matters here."""

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return 1 for the arm with the smallest penalty, shape (K,); equal ones share it."""
        return greedy_probs(-np.asarray(penalties))

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Do nothing."""

    def add_arm(self, name: str) -> None:
        """Do nothing."""

    def drop_arm(self, name: str) -> None:
        """Do nothing."""

    def state(self) -> bytes:
        """Return a snapshot that holds only its kind."""
        return snapshot.pack({"kind": "cheapest"}, {})

    def restore(self, state: bytes) -> None:
        """Check that the snapshot is one of this policy. Raises SnapshotError."""
        header, _ = snapshot.unpack(state)
        if header.get("kind") != "cheapest":
            raise SnapshotError(f"snapshot is of {header.get('kind')!r}; wanted cheapest")
