"""Policies: promote, roll back and go back, each after a question."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import check_accessible, keep_picture


def test_a_challenger_is_let_in_by_the_ramp_and_its_share_taken_back(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/policies")
    page.get_by_text("Promote bold…").click()
    check_accessible(page)
    page.get_by_role("button", name="Promote bold by the ramp").click()
    expect(page.locator("#done")).to_contain_text("bold is let in, by the ramp")
    expect(page.get_by_role("heading", name=re.compile("bold is tried on 1.0% of the traffic"))).to_be_visible()
    keep_picture(page, "dashboard-policies-trial")
    page.get_by_text("Roll back…").click()
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.locator("#done")).to_contain_text("taken back")
    expect(page.get_by_role("heading", name=re.compile("is tried on"))).to_have_count(0)


def test_a_challenger_decides_at_once_and_the_champion_before_comes_back(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/policies")
    page.get_by_text("Promote careful…").click()
    page.get_by_role("button", name="Promote careful at once").click()
    expect(page.locator("#done")).to_contain_text("careful decides from now on")
    page.get_by_text("Roll back…").click()
    expect(page.get_by_text("Let configured (HierTS, as configured) decide again in place of careful?")).to_be_visible()
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.locator("#done")).to_contain_text("taken back")


def test_going_back_to_a_version_asks_first_and_says_what_counts_no_more(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/policies")
    first = page.get_by_role("region", name="Newest versions").get_by_role("row").filter(has_text="Go back…").first
    first.get_by_text("Go back…").click()
    expect(first.get_by_text(re.compile("What feedback after .* has taught counts no more"))).to_be_visible()
    expect(first.get_by_role("button", name=re.compile("^Go back to version"))).to_be_visible()
    check_accessible(page)
