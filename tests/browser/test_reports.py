"""Reports opened from their files: they ask nobody for anything, name everything whole, and no name meets another."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from highwayman.sims.reports.answers_page import write_answers
from highwayman.sims.reports.report import write_report
from tests.browser.conftest import WIDTHS, check_accessible, keep_picture
from tests.sims.plots.synthetic import results
from tests.sims.reports.test_answers_page import NASTY, answered

MAKERS = ("mistralai/Mixtral-8x22B-Instruct-v0.1", "meta-llama/Llama-3.1-405B-Instruct-FP8", "Qwen/Qwen2-7B-Instruct")
ARMS = [f"{MAKERS[number % 3]}-{number}" for number in range(12)]
POLICIES = {f"highwayman.bandit.policies.lin_ucb:LinUCB:alpha=0.{number}": 0.05 - 0.01 * number for number in range(10)}
KINDS = ("simulation", "evaluation")
MANY = "many"  # arms and policies

# Where each chart's words stand: [text, left, top, right, bottom].
_WORDS = """plot => [...plot.querySelectorAll("svg text")].filter(text => text.textContent).map(text => {
const box = text.getBoundingClientRect(); return [text.textContent, box.left, box.top, box.right, box.bottom]; })"""
_NAMED = """figure => [...figure.querySelectorAll(".names text, .legend li:not([hidden])")]
.map(name => name.textContent.trim())"""
# Where each band of a chart begins and ends, and its frame: [top, bottom, height].
_BANDS = """charts => charts.flatMap(chart => [...chart.querySelectorAll("g[fill-opacity='0.16'] path")].map(band => {
const box = band.getBBox(); return [box.y, box.y + box.height, chart.height.baseVal.value]; }))"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of each kind, with names as long as they come."""
    folder = tmp_path_factory.mktemp("reports")
    paths = {kind: folder / f"{kind}.html" for kind in (*KINDS, MANY)}
    made = results(policies={**POLICIES, NASTY: -0.3}, names=ARMS, seeds=5, budget_usd=0.001)
    write_report(made, paths[MANY])
    few = results(policies={next(iter(POLICIES)): 0.05, NASTY: -0.3}, names=ARMS[:3], seeds=2, bins=4, budget_usd=0.001)
    write_report(few, paths["simulation"])
    write_answers(answered(*list(POLICIES)[:2], NASTY), paths["evaluation"])
    return paths


@pytest.fixture
def reader(browser: Browser, reports: dict[str, Path]) -> Iterator[Page]:
    """A page that nothing may go wrong on, and that may ask for nothing but itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, wrong = context.new_page(), []
    files = {path.as_uri() for path in reports.values()}
    page.on("console", lambda told: wrong.append(told.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda sent: None if sent.url in files else wrong.append(sent.url))
    yield page
    context.close()
    assert wrong == []


def open_report(page: Page, path: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    expect(page.locator(".plot:not(:has(svg))")).to_have_count(0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_accessible_fits_every_width_and_asks_for_nothing(
    reader: Page, reports: dict[str, Path], kind: str
) -> None:
    for width in WIDTHS:
        open_report(reader, reports[kind], width)
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"wider than {width}"
        keep_picture(reader, f"report-{kind}-{width}")
    check_accessible(reader)
    reader.emulate_media(color_scheme="dark")
    check_accessible(reader)
    keep_picture(reader, f"report-{kind}-dark")


@pytest.mark.parametrize("width", WIDTHS)
def test_names_are_whole_and_meet_no_other(reader: Page, reports: dict[str, Path], width: int) -> None:
    for kind in (*KINDS, MANY):
        open_report(reader, reports[kind], width)
        for plot in reader.locator(".plot").all():
            words = plot.evaluate(_WORDS)
            meet = [
                (a[0], b[0])
                for a, b in combinations(words, 2)
                if min(a[3], b[3]) - max(a[1], b[1]) > 1 and min(a[4], b[4]) - max(a[2], b[2]) > 3
            ]
            assert meet == [], plot.get_attribute("aria-label")
            assert all(left >= -1 and right <= width + 1 for _, left, _, right, _ in words)
        said = reader.locator("main").inner_text()
        assert "…" not in said.replace("In figures", "")


def test_every_line_is_named_at_its_end_or_in_the_legend(reader: Page, reports: dict[str, Path]) -> None:
    for width in (390, 1280):
        open_report(reader, reports[MANY], width)
        figure = reader.locator("#case-1-learning-1")
        named = figure.evaluate(_NAMED)
        assert {*POLICIES, NASTY} <= {name.rstrip(" \u2191\u2193") for name in named}


def test_bands_and_lines_lie_within_their_frame(reader: Page, reports: dict[str, Path]) -> None:
    open_report(reader, reports[MANY], 1280)
    bands = reader.locator(".plot[data-chart*='\"lines\"'] svg").evaluate_all(_BANDS)
    assert len(bands) > 5
    assert all(top >= 15 and bottom <= height - 30 for top, bottom, height in bands)


def test_what_is_pointed_at_says_its_name_and_its_numbers(reader: Page, reports: dict[str, Path]) -> None:
    open_report(reader, reports["evaluation"], 1280)
    plot = reader.locator("#answers-1 .plot")
    dot = plot.locator("svg circle").nth(1)
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    assert box is not None
    reader.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    told = plot.evaluate("plot => plot.textContent").replace("\u200b", "")
    assert re.search(rf"{re.escape(next(iter(POLICIES)))}0\.\d+0\.\d+ to 0\.\d+earns more", told)
