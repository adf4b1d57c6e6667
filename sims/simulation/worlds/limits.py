"""The checks that worlds make of their parameters."""

import math


def check_range(low: float, high: float, **values: float | None) -> None:
    """Return if each value is None or a number from `low` to `high`. Raises ValueError, naming the first that is not.

    `low` and `high` themselves are allowed where they are finite.
    """
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            bounds = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f">= {low:g}"
            raise ValueError(f"{name} must be a number {bounds}, got {value!r}")


def check_positive(**values: float | None) -> None:
    """Return if each value is None or a finite number > 0. Raises ValueError, naming the first that is not."""
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a number > 0, got {value!r}")


def check_order(from_share: float, until_share: float) -> None:
    """Return if a stretch of the run, in shares of it, starts before it ends. Raises ValueError."""
    check_range(0.0, 1.0, from_share=from_share, until_share=until_share)
    if not from_share < until_share:
        raise ValueError(f"from_share must be less than until_share, got {from_share!r} and {until_share!r}")
