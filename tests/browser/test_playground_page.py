"""The playground in a browser: asked, watched, thumbed; two beside one another; stopped; refused."""

import json
import re

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import WIDTHS, check_accessible, keep_picture

QUESTION = "Is the review positive or negative? 'A joy from start to end.' Answer with one word."
_ANSWERS_MS = 90_000  # of the local pool's, on two busy cores
# Clicks when the answer begins: on a quick machine it is over before anybody else would.
_STOPPING = """
new MutationObserver(() => {
  if (document.querySelector("#a .state")?.textContent === "answers") document.getElementById("stop").click();
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


def asked(page: Page, url: str, question: str, **fields: str) -> None:
    page.goto(f"{url}/dashboard/playground")
    page.get_by_label("Question").fill(question)
    for name, value in fields.items():
        field = page.locator(f"[name={name}]")
        field.select_option(value) if name in ("model", "beside") else field.fill(value)
    page.get_by_label("Question").press("Control+Enter")


def test_a_thumb_on_an_answer_is_seen_to_move_what_is_expected(page: Page, router_url: str) -> None:
    asked(page, router_url, QUESTION, max_tokens="16", model="auto")
    expect(page.locator("#a .state")).to_have_text("done", timeout=_ANSWERS_MS)
    expect(page.locator("#a .words")).not_to_be_empty()
    about = page.locator("#a .about")
    expect(about.locator(".draw svg")).to_be_visible()
    about.get_by_role("button", name="Bad").click()
    expect(about).to_contain_text("the thin mark is where version")
    expect(about.locator("td .bad").first).to_have_text(re.compile(r"-0\.\d"))
    expect(about.get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "true")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        keep_picture(page, f"playground-answered-{width}")
    about.get_by_role("button", name="Take back").click()
    expect(about.get_by_role("button", name="Take back")).to_have_count(0)
    about.get_by_role("link", name="All of this decision").click()
    expect(page.get_by_role("heading", name="Decision", exact=True)).to_be_visible()


def test_two_answers_stand_beside_one_another_and_one_is_preferred(page: Page, router_url: str) -> None:
    asked(page, router_url, QUESTION, max_tokens="8", model="plain", beside="critic")
    expect(page.get_by_role("heading", name="Which answer is better?")).to_be_visible(timeout=_ANSWERS_MS)
    expect(page.locator(".about")).to_have_count(2)
    check_accessible(page)
    page.get_by_role("button", name="The second").click()
    expect(page.locator("#preferred")).to_contain_text("the operator's preference")
    keep_picture(page, "playground-two")


def test_an_answer_is_stopped_at_once(page: Page, router_url: str) -> None:
    page.add_init_script(_STOPPING)
    asked(page, router_url, "Count from one to a thousand.", max_tokens="1500", model="plain")
    expect(page.locator("#a .state")).to_have_text("stopped", timeout=_ANSWERS_MS)
    expect(page.locator("#a .about")).to_contain_text("It ended as client gone")
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()


def test_what_a_model_says_is_no_markup(page: Page, router_url: str) -> None:
    said = "<img src=x onerror=alert(1)><b>bold</b>"
    event = f"data: {json.dumps({'choices': [{'delta': {'content': said}}]})}\n\ndata: [DONE]\n\n"
    page.route("**/playground/ask", lambda route: route.fulfill(body=event, content_type="text/event-stream"))
    asked(page, router_url, "anything")
    expect(page.locator("#a .state")).to_have_text("done")
    assert page.locator("#a .words").inner_text() == said
    expect(page.locator("#a .words *")).to_have_count(0)


def test_what_the_router_refuses_is_told_in_its_words(context: BrowserContext, router_url: str) -> None:
    page = context.new_page()  # a browser tells of every answer of 400 in its console
    asked(page, router_url, "word " * 9000, model="auto")
    expect(page.locator("#a .trouble")).to_contain_text("token")
    expect(page.locator("#a .state")).to_have_text("failed")
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()
