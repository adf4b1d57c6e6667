"""A fixed split of the traffic: the rule that many routers begin with, and that a policy must beat."""

from collections.abc import Mapping, Sequence

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.draw import shares_of
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange


class Split:
    """Chooses each arm as often as its weight says, among those that may answer. Learns nothing."""

    def __init__(self, *, d: int, fingerprint: str = "", weights: Mapping[str, float] | None = None) -> None:
        """Take what each arm weighs.

        Args:
            d: does not matter here.
            fingerprint: does not matter here.
            weights: by arm, >= 0; an arm that is not named weighs nothing. None: all weigh alike.

        Raises:
            ValueError: a weight is no number >= 0, or none is above 0.
        """
        self._weights = {str(arm): float(weight) for arm, weight in (weights or {}).items()}
        if any(not (np.isfinite(weight) and weight >= 0) for weight in self._weights.values()):
            raise ValueError(f"weights must be numbers >= 0, got {dict(weights or {})}")
        if self._weights and not any(self._weights.values()):
            raise ValueError(f"weights must not all be 0, got {dict(weights or {})}")

    @property
    def named_arms(self) -> tuple[str, ...]:
        """The arms that weights are given to."""
        return tuple(self._weights)

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the arms' shares, shape (K,); where none of those that weigh anything may answer, all alike."""
        shares = shares_of(self._weights, arms)
        return np.full(len(arms), 1.0 / len(arms)) if shares is None else shares

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Do nothing."""

    def add_arm(self, name: str) -> None:
        """Do nothing."""

    def drop_arm(self, name: str) -> None:
        """Do nothing."""

    def state(self) -> bytes:
        """Return a snapshot that holds only its kind: the weights are options."""
        return snapshot.pack({"kind": "split"}, {})

    def restore(self, state: bytes) -> None:
        """Check that the snapshot is one of this policy. Raises SnapshotError."""
        header, _ = snapshot.unpack(state)
        if header.get("kind") != "split":
            raise SnapshotError(f"snapshot is of {header.get('kind')!r}; wanted split")
