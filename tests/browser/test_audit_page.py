"""Overview and audit: what was changed stands on both, and the span of time is a choice that stays in the address."""

from playwright.sync_api import Page, expect


def test_a_price_change_is_told_with_who_made_it(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/audit")
    row = page.get_by_role("region", name="Changes").get_by_role("row", name="The price of plain").last
    expect(row).to_contain_text("ops@example.org")
    expect(page.get_by_text("No key is given out")).to_be_visible()


def test_the_overview_follows_the_span_that_is_chosen(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard")
    decisions = page.locator(".stat").first.locator("dd").first
    day = int(decisions.inner_text().replace(",", ""))
    page.get_by_role("link", name="last week").click()
    expect(page.get_by_role("link", name="last week")).to_have_attribute("aria-current", "true")
    assert int(decisions.inner_text().replace(",", "")) > day > 0
    expect(page.locator("#shares details")).not_to_have_attribute("open", "")
    page.locator("#shares summary").click()
    expect(page.locator("#shares").get_by_role("columnheader", name="abacus")).to_be_visible()


def test_the_theme_is_kept_and_what_is_live_can_be_held_still(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard")
    page.get_by_role("button", name="Dark").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    switch = page.locator("#live-switch")
    switch.click()
    expect(switch).to_have_text("Paused")
    expect(switch).to_have_attribute("aria-pressed", "false")
