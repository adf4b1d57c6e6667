"""Colors: told apart, and read on light and dark paper."""

import re
from collections.abc import Mapping

import pytest

from highwayman.pages.assets import Assets
from highwayman.pages.palette import arm_colors, policy_colors

LIGHT, DARK, SYSTEM_DARK = (
    dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root[^{]*\{([^}]*--paper: #[0-9a-f]{6}[^}]*)\}", Assets().text("style.css"))
)
TEXT = ("--ink", "--quiet", "--good", "--bad", "--accent")
POLICIES = [color[4:-1] for color in policy_colors("abcdefgh").values()]
ARMS = [color[4:-1] for color in arm_colors("abcdefgh").values()]


def luminance(color: str) -> float:
    """WCAG 2.1's relative luminance."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_color_has_its_like_on_dark_paper() -> None:
    assert set(LIGHT) == set(DARK)
    assert DARK == SYSTEM_DARK
    assert all(len({colors[name] for name in names}) == 8 for colors in (LIGHT, DARK) for names in (POLICIES, ARMS))


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_written_can_be_read_and_lines_can_be_seen(colors: Mapping[str, str]) -> None:
    assert all(contrast(colors[name], colors[paper]) >= 4.5 for name in TEXT for paper in ("--paper", "--card"))
    assert all(contrast(colors[name], colors["--card"]) >= 3.0 for name in POLICIES)
