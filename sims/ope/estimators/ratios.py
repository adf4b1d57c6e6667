"""Importance ratios: how much likelier the target policy makes what was logged."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LEAST_PROPENSITY, TOO_SMALL, LogError, LoggedData


class NoModel:
    """What estimators have in common that learn nothing from the log before they weigh it."""

    learns = False  # so that nobody reads the log for `fit`

    def fit(self, log: LoggedData) -> None:
        """Do nothing."""


def ratios(log: LoggedData, target: Floats) -> Floats:
    """Return target probability over propensity of each action taken, shape (n,).

    Raises:
        ValueError: `target` is not of shape (n, K).
        LogError: a propensity is not a positive number, or too small to divide by; names the row.
    """
    if target.shape != (log.n, len(log.arms)):
        raise ValueError(f"target has shape {target.shape}; {log.n} rounds of {len(log.arms)} arms need one row each")
    if log.n and not log.propensities.min() > 0:
        row = int(np.flatnonzero(~(log.propensities > 0))[0])
        raise LogError(f"row {row}: propensity must be in (0, 1], got {log.propensities[row].item()!r}")
    if log.n and log.propensities.min() < LEAST_PROPENSITY:
        row = int(log.propensities.argmin())
        raise LogError(f"row {row}: propensity {log.propensities[row].item()!r} {TOO_SMALL}")
    ratio: Floats = at_action(target, log) / log.propensities
    return ratio


def at_action(values: Floats, log: LoggedData) -> Floats:
    """Return each row's entry for the action taken, shape (n,), of `values` (n, K)."""
    n, k = values.shape
    return values.ravel().take(np.arange(0, n * k, k) + log.actions)


def bounded(ratio: Floats, max_ratio: float) -> Floats:
    """Return `ratio`, once none is larger than was promised. Raises LogError naming the row of one that is."""
    if len(ratio) and ratio.max() > max_ratio * (1 + 1e-9):
        row = int(ratio.argmax())
        raise LogError(
            f"row {row}: importance ratio {ratio[row].item()!r} is above max_ratio {max_ratio!r}; "
            "with a floor f over K arms no ratio exceeds K / f, ten times that if the floor was spread by what it loses"
        )
    return ratio


def ones(n: int) -> Floats:
    """Return n ones that take no memory."""
    return np.broadcast_to(np.float64(1.0), (n,))


def checked(name: str, value: float) -> float:
    """Return an option that must be > 0 (infinity will do). Raises ValueError naming it."""
    if not value > 0:
        raise ValueError(f"{name} must be > 0, got {value!r}")
    return value
