"""A policy with a fault of ours in it, which a configuration may name."""

from collections.abc import Sequence

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.types import RewardChange


class FailingPolicy(LinTS):
    """Decides as LinTS does, and learns nothing: not with an error that is foreseen."""

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Raise RuntimeError."""
        raise RuntimeError("a fault of ours")
