"""Colors of arms and policies: one order and one color for each, in every chart and table of a page."""

from collections.abc import Iterable, Mapping
from typing import Final

# Told apart under the common kinds of colour blindness (Machado et al. 2009); style.css says what they are on light and
# dark paper.
_COLORS: Final = 8
INK: Final = "var(--ink)"
QUIET: Final = "var(--quiet)"
OTHERS: Final = "var(--others)"
GOOD: Final = "var(--good)"
BAD: Final = "var(--bad)"


def arm_colors(names: Iterable[str]) -> Mapping[str, str]:
    """Return a CSS color for each arm, by its place in the pool; the ninth has the first's again."""
    return {name: f"var(--a{place % _COLORS + 1})" for place, name in enumerate(dict.fromkeys(names))}


def policy_colors(names: Iterable[str]) -> Mapping[str, str]:
    """Return a CSS color for each policy, by its place among them; the ninth has the first's again."""
    return {name: f"var(--p{place % _COLORS + 1})" for place, name in enumerate(dict.fromkeys(names))}
