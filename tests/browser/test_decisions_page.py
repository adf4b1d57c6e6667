"""The pages of decisions in a browser: filtered, paged, live; one explained, thumbed, and the thumb taken back."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import WIDTHS, check_accessible, keep_picture

ASK = {"model": "plain", "max_tokens": 4, "messages": [{"role": "user", "content": "What is the capital of France?"}]}


def test_filters_and_pages_stay_in_the_address(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/decisions")
    newest = page.locator("tbody time").first.inner_text()
    page.get_by_role("link", name="Older").click()
    expect(page).to_have_url(re.compile(r"after=\d+-\d+"))
    expect(page.locator("tbody time").first).not_to_have_text(newest)
    page.get_by_role("link", name="Newest").click()
    page.locator("[name=mode]").select_option("cascade")
    page.locator("[name=feedback]").select_option("true")
    page.get_by_role("button", name="Show").press("Enter")
    expect(page).to_have_url(re.compile("mode=cascade.*feedback=true"))
    expect(page.locator("[name=mode]")).to_have_value("cascade")
    rows = page.locator("tbody tr:not(.group)")
    assert rows.count() == page.locator("tbody tr:not(.group) .badge", has_text="cascade").count() > 0
    page.get_by_role("link", name="All", exact=True).click()
    expect(page).to_have_url(re.compile("decisions$"))


def test_the_list_shows_what_is_decided_while_it_is_looked_at_and_holds_still_when_told(
    page: Page, router_url: str
) -> None:
    page.goto(f"{router_url}/dashboard/decisions")
    first = page.locator("tbody a").first
    before = first.get_attribute("href")
    page.request.post(f"{router_url}/v1/chat/completions", data=ASK, timeout=60_000)
    expect(first).not_to_have_attribute("href", str(before))
    expect(page.locator("tbody tr:not(.group)").first).to_contain_text("named")
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Paused")).to_have_attribute("aria-pressed", "false")


def test_a_decision_is_explained_thumbed_and_the_thumb_taken_back(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/decisions?mode=cascade&feedback=true")
    page.locator("tbody tr:not(.group)").first.click()
    expect(page.get_by_role("heading", name="Decision", exact=True)).to_be_visible()
    expect(page.locator("#beliefs .plot svg")).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        keep_picture(page, f"decision-{width}")
    page.locator("#beliefs summary").click()
    expect(page.locator("#beliefs-data table")).to_be_visible()
    check_accessible(page)
    page.get_by_role("button", name="Good").click()
    expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("cell", name="operator", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Bad").click()
    expect(page.get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_role("button", name="Take back")).to_have_count(0)
    page.get_by_role("link", name="Decisions").last.click()
    expect(page.get_by_role("heading", name="Decisions", exact=True)).to_be_visible()
