"""The colors of all plots, and the CSS variables that stand for them in a page, so that it can be dark as well."""

from typing import Final

INK: Final = "#1f2933"
QUIET: Final = "#616e7c"
GRID: Final = "#e4e7eb"
AXIS: Final = "#9aa5b1"
PAPER: Final = "#ffffff"
OVER: Final = "#c0392b"
# Told apart under the common kinds of colour blindness (Machado et al. 2009), and 3 to 1 against white.
POLICY_COLORS: Final = ("#0b6e4f", "#c8602f", "#2a8fd8", "#a38f00", "#1b1f7a", "#7d9a8c", "#b0609f", "#524d6b")
ARM_COLORS: Final = ("#0c71be", "#fea343", "#7a4550", "#8bcfb5", "#2c3e63", "#f47379", "#51acc8", "#ad622e")
OTHERS: Final = "#c9d0d7"
WRITTEN_ON_DARK: Final = "#fdfdfd"  # on an arm's area, on white and dark paper alike
WRITTEN_ON_LIGHT: Final = "#141a20"
DASHES: Final = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)))  # for the policies after the eighth, which repeat colors

VARIABLES: Final = {
    INK: "--ink",
    QUIET: "--quiet",
    GRID: "--grid",
    AXIS: "--axis",
    PAPER: "--card",
    OVER: "--over",
    OTHERS: "--others",
    **{color: f"--p{place}" for place, color in enumerate(POLICY_COLORS, 1)},
    **{color: f"--a{place}" for place, color in enumerate(ARM_COLORS, 1)},
}


def variable(color: str) -> str:
    """Return the CSS variable that stands for the color, as `var(--ink)`; the color where none does."""
    return f"var({VARIABLES[color]})" if color in VARIABLES else color
