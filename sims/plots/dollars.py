"""Dollars as a report's tables and captions tell them."""

import math


def usd(value: float) -> str:
    """Return dollars with three significant digits, such as $1.23 or $0.000456."""
    if not math.isfinite(value):
        return "unknown"
    if value == 0:
        return "$0"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"${value:,.{min(max(digits, 2), 9)}f}"
