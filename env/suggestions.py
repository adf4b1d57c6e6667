"""What somebody meant who wrote a name that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` seems to be a misspelling of, whatever its case, or None."""
    by_lower = {known_name.lower(): known_name for known_name in known}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return what to put behind a name that is not known; empty where nothing comes near.

    >>> did_you_mean("usd_per_mtok_input", ["usd_per_mtok_in", "model"])
    " (did you mean 'usd_per_mtok_in'?)"
    """
    close = closest(name, known)
    return f" (did you mean {close!r}?)" if close else ""
