import re
from collections.abc import Mapping
from importlib import resources

import pytest

from highwayman.sims.plots.palette import ARM_COLORS, POLICY_COLORS, VARIABLES, variable

CSS = resources.files("highwayman.sims").joinpath("assets/report.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"(--[\w]+):(#[0-9a-f]+)", block)) for block in re.findall(r":root\{(.*?)\}", CSS, re.DOTALL)
)
TEXT = ("--ink", "--quiet", "--good", "--bad", "--open", "--link")
POLICIES = [f"--p{place}" for place in range(1, len(POLICY_COLORS) + 1)]


def luminance(color: str) -> float:
    """WCAG 2.1's relative luminance."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(share * one for share, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_has_the_colors_of_the_plots() -> None:
    assert {name: LIGHT[name] for name in VARIABLES.values()} == {name: color for color, name in VARIABLES.items()}


def test_every_color_has_its_like_on_dark_paper() -> None:
    assert set(LIGHT) == set(DARK)
    assert len({DARK[name] for name in POLICIES}) == len(POLICY_COLORS)
    assert len({DARK[f"--a{place}"] for place in range(1, len(ARM_COLORS) + 1)}) == len(ARM_COLORS)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_written_can_be_read_and_lines_can_be_seen(colors: Mapping[str, str]) -> None:
    assert all(contrast(colors[name], colors[paper]) >= 4.5 for name in TEXT for paper in ("--paper", "--card"))
    assert all(contrast(colors[name], colors["--card"]) >= 3.0 for name in POLICIES)


def test_a_color_that_is_not_of_the_plots_stays_what_it_is() -> None:
    assert variable(POLICY_COLORS[0]) == "var(--p1)"
    assert variable("#123456") == "#123456"
