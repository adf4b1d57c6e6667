"""Every eligible arm alike: the honest baseline, and the best logging policy for learning about the others."""

from collections.abc import Sequence

import numpy as np

from highwayman.bandit import snapshot
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange


class Uniform:
    """Learns nothing and prefers nothing."""

    def __init__(self, *, d: int, fingerprint: str = "") -> None:
        """Take the arguments every policy takes; none matters here."""

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return 1/K for each of the K arms."""
        return np.full(len(arms), 1.0 / len(arms))

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Do nothing."""

    def add_arm(self, name: str) -> None:
        """Do nothing."""

    def drop_arm(self, name: str) -> None:
        """Do nothing."""

    def state(self) -> bytes:
        """Return a snapshot that holds only its kind."""
        return snapshot.pack({"kind": "uniform"}, {})

    def restore(self, state: bytes) -> None:
        """Check that the snapshot is one of this policy. Raises SnapshotError."""
        header, _ = snapshot.unpack(state)
        if header.get("kind") != "uniform":
            raise SnapshotError(f"snapshot is of {header.get('kind')!r}; wanted uniform")
