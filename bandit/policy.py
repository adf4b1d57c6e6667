"""What every policy is: probabilities out, changes of reward in. Nothing here draws."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from highwayman.env.errors import ConfigError
from highwayman.env.types import Context, Floats, RewardChange


@runtime_checkable
class Policy(Protocol):
    """A contextual-bandit policy over named arms.

    The constructor takes `d` (number of features) and `fingerprint` (of the encoder that made them), then its own
    options, all by keyword.
    """

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the probability of each eligible arm, shape (K,), in the order of `arms`, before the floor."""

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward into the state, in log order."""

    def add_arm(self, name: str) -> None:
        """Give a new arm the prior; an arm already known keeps what was learned of it."""

    def drop_arm(self, name: str) -> None:
        """Take an arm out of the running; its statistics stay, should it return."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if it cannot be used."""


def load_policy(path: str, *, d: int, fingerprint: str, options: Mapping[str, Any] | None = None) -> Policy:
    """Return the policy at import path `module:Class`, built with `options`. Raises ConfigError."""
    module_name, _, class_name = path.partition(":")
    try:
        policy_class = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # TypeError: a relative path
        raise ConfigError(f"policy {path!r}: {error}; give module:Class, as highwayman.bandit.lin_ts:LinTS") from error
    try:
        policy = policy_class(d=d, fingerprint=fingerprint, **(options or {}))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"policy {path!r}: {error}") from error
    if not isinstance(policy, Policy):
        raise ConfigError(f"policy {path!r} lacks a method of the Policy protocol")
    return policy
