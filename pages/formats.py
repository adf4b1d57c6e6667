"""Numbers in words: each kind of number reads the same wherever it stands."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import floor, isfinite, log10
from typing import Final, Literal

Unit = Literal["number", "signed", "percent", "usd", "seconds", "time", "count"]

NONE: Final = "–"  # where there is no number
_NOTHING: Final = 1e-12  # what rounding leaves of a difference of 0
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800.0, 253_402_300_800.0  # of the years 1 to 9999
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits that count."""
    if value is None or not isfinite(value):
        return NONE
    return f"{value:.{digits}g}" if abs(value) < 1e5 else f"{value:,.0f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign: three decimals, or three digits that count where it is large; 0 without."""
    if value is None or not isfinite(value):
        return NONE
    if abs(value) < _NOTHING:
        return "0"
    return (f"{value:+.3f}" if abs(value) < 10 else f"{value:+,.0f}").replace("-", "\N{MINUS SIGN}")


def percent(value: float | None) -> str:
    """Return a share of one in percent."""
    if value is None or not isfinite(value):
        return NONE
    return f"{value:.0%}" if abs(value) >= 0.0995 or value == 0 else f"{value:.1%}"


def usd(value: float | None) -> str:
    """Return dollars: cents from a dollar on, below it two digits that count."""
    if value is None or not isfinite(value):
        return NONE
    sign, size = "-" if value < 0 else "", abs(value)
    if size >= 1 or size == 0:
        return f"{sign}${size:,.2f}"
    return f"{sign}${size:.{min(1 - floor(log10(size)), 12)}f}"


def price(value: float | None) -> str:
    """Return dollars for a million tokens, as whoever set them wrote them: nothing is rounded away."""
    return NONE if value is None or not isfinite(value) else f"${value:.10g}"


def seconds(value: float | None) -> str:
    """Return a span of time."""
    if value is None or not isfinite(value):
        return NONE
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 2 * _MINUTE_S:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    if value < 2 * _HOUR_S:
        return f"{value / _MINUTE_S:.0f} min"
    return f"{value / _HOUR_S:.0f} h" if value < 2 * _DAY_S else f"{value / _DAY_S:.0f} days"


def time(value: float | None) -> str:
    """Return a moment, seconds since the epoch, in UTC; a log may hold one that is in no calendar."""
    if value is None or not _FIRST_MOMENT <= value < _LAST_MOMENT:
        return NONE
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S}"


def count(value: float | None) -> str:
    """Return a whole number, its thousands apart."""
    return NONE if value is None or not isfinite(value) else f"{value:,.0f}"


def counted(value: float, name: str) -> str:
    """Return how many there are of what has a name."""
    return f"{count(value)} {name}{'' if value == 1 else 's'}"


FORMATS: Final[Mapping[Unit, Callable[[float], str]]] = {
    "number": number,
    "signed": signed,
    "percent": percent,
    "usd": usd,
    "seconds": seconds,
    "time": time,
    "count": count,
}
