"""Arms: every action clicked through, and what follows on the page."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import check_accessible, keep_picture


def change(page: Page, arm: str) -> None:
    """Open what can be done with an arm."""
    page.get_by_text(f"Change {arm}", exact=True).click()


def test_an_arm_is_drained_and_made_active_again_and_the_page_says_who_did(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/arms")
    change(page, "critic")
    page.get_by_role("button", name="Drain: critic").click()
    expect(page.locator("#done")).to_be_focused()
    expect(page.locator("#done")).to_contain_text("critic drains")
    expect(page.get_by_text("Changed beside the pool file by dashboard, an operator")).to_be_visible()
    change(page, "critic")
    page.get_by_role("button", name="Put on probation: critic").click()
    expect(page.locator("#done")).to_contain_text("critic is on probation")
    change(page, "critic")
    page.get_by_role("button", name="Reset: critic").click()
    expect(page.locator("#done")).to_contain_text("as the pool file has it")


def test_an_arm_is_removed_only_once_it_is_asked_for_again_and_is_put_back(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/arms")
    change(page, "typist")
    page.locator("section", has=page.get_by_role("heading", name="typist")).get_by_text("Remove…").click()
    expect(page.get_by_text("Remove typist from the pool of every router?")).to_be_visible()
    check_accessible(page)
    page.get_by_role("button", name="Remove typist: typist").click()
    expect(page.get_by_role("heading", name="typist")).to_have_count(0)
    page.get_by_role("button", name="Put typist back: typist").click()
    expect(page.get_by_role("heading", name="typist")).to_be_visible()


def test_an_arm_is_added_and_removed_again(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/arms")
    page.get_by_role("heading", name="Add an arm").click()
    for label, text in (
        ("Name", "helper"),
        ("Model, as its server names it", "m"),
        ("Address", "http://127.0.0.1:9"),
        ("Context window, tokens", "4096"),
    ):
        page.get_by_label(label, exact=True).fill(text)
    page.locator("select[name='key.price']").select_option("its price is unknown")
    page.get_by_role("button", name="Add the arm").click()
    expect(page.locator("#done")).to_contain_text("helper is added to the pool")
    change(page, "helper")
    page.locator("section", has=page.get_by_role("heading", name="helper")).get_by_text("Remove…").click()
    page.get_by_role("button", name="Remove helper: helper").click()
    expect(page.get_by_role("heading", name="helper")).to_have_count(0)


def test_a_price_is_tried_on_the_newest_decisions_before_it_is_put_in_force(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/arms")
    change(page, "plain")
    page.locator("section", has=page.get_by_role("heading", name="plain")).get_by_role("link", name="Price…").click()
    page.get_by_label("$ per million written").fill("4")
    page.get_by_role("button", name="Show what it would have done").click()
    row = page.get_by_role("row", name=re.compile("^plain"))
    expect(row).to_contain_text("-")  # points of share that it loses
    check_accessible(page)
    keep_picture(page, "dashboard-arms-price")
    page.get_by_role("button", name="Put this price in force").click()
    expect(page.locator("#done")).to_contain_text("plain has another price")
    change(page, "plain")
    page.get_by_role("button", name="Reset: plain").click()
    expect(page.locator("#done")).to_contain_text("as the pool file has it")


def test_costs_foretold_and_metered_are_fetched_and_drawn(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/arms")
    expect(page.locator("#foretold-calls .plot .leads").first).to_be_visible()
    expect(page.locator("#ratios .plot svg")).to_be_visible()
    check_accessible(page)


def test_an_arm_that_is_refused_leaves_its_form_as_it_was_typed(page: Page, router_url: str) -> None:
    typed = {
        "arm": "helper",
        "key.model": "m",
        "key.endpoint": "http://127.0.0.1:9",
        "key.context_window_tokens": "4096",
    }
    no_price = {"verb": "add", **typed, "key.tools": "yes"}
    answer = page.request.post(f"{router_url}/dashboard/arms", form=no_price, headers={"origin": router_url})
    assert answer.status == 400
    page.set_content(answer.text())
    expect(page.locator("#done")).to_contain_text("Nothing has changed")
    for name, text in typed.items():
        expect(page.locator(f"#add-arm [name='{name}']")).to_have_value(text)
    expect(page.locator("#add-arm [name='key.tools']")).to_have_value("yes")
