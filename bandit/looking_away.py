"""Policies that see only some of the features: the others are 0 to them, whatever they learn or decide."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, wraps
from typing import Any

import numpy as np

from highwayman.env.types import Context, Floats, RewardChange

_OF_CONTEXTS = ("probs", "expected_quality", "probs_and_beliefs")
_OF_FEATURES = ("quality_and_deviation", "probs_many")


def looking_away(kind: type, kept: Floats) -> type:
    """Return a policy's class with features (d,) times `kept` (d,), 0 or 1, in place of them; the same for the same."""
    return _looking_away(kind, kept.astype(np.float64).tobytes())


@cache
def _looking_away(kind: type, kept_bytes: bytes) -> type:
    kept = np.frombuffer(kept_bytes)
    # Beliefs come with probabilities only where the same class defines both, as `decide` has it.
    defining = next(base for base in kind.__mro__ if "probs" in vars(base))
    names = [name for name in _OF_CONTEXTS if name != "probs_and_beliefs" or name in vars(defining)]
    methods: dict[str, Any] = {name: _of_context(getattr(kind, name), kept) for name in names if hasattr(kind, name)}
    methods |= {name: _of_features(getattr(kind, name), kept) for name in _OF_FEATURES if hasattr(kind, name)}
    methods["learn"] = _of_changes(getattr(kind, "learn"), kept)  # noqa: B009 (of any class)
    return type(kind.__name__, (kind,), {**methods, "__module__": kind.__module__, "__doc__": kind.__doc__})


def _of_context(method: Callable[..., Any], kept: Floats) -> Callable[..., Any]:
    @wraps(method)
    def seen(self: Any, context: Context, *args: Any) -> Any:
        return method(self, replace(context, features=context.features * kept), *args)

    return seen


def _of_features(method: Callable[..., Any], kept: Floats) -> Callable[..., Any]:
    @wraps(method)
    def seen(self: Any, features: Floats, *args: Any) -> Any:
        return method(self, features * kept, *args)

    return seen


def _of_changes(method: Callable[..., Any], kept: Floats) -> Callable[..., Any]:
    @wraps(method)
    def seen(self: Any, changes: Sequence[RewardChange]) -> None:
        method(self, [replace(change, features=change.features * kept) for change in changes])

    return seen
