"""The feedback page: sources, a key put in quarantine and released."""

import json
import re
import urllib.request

from playwright.sync_api import Page, expect


def test_what_sources_say_is_told_and_the_judge_stands_beside_thumbs(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/feedback")
    sources = page.get_by_role("region", name="Sources")
    for told in ("user thumbs", "app copied", "judge judge", "implicit regenerated"):
        expect(sources.get_by_role("row", name=told)).to_be_visible()
    expect(page.get_by_role("heading", name="judge beside thumbs")).to_be_visible()
    link = page.get_by_role("region", name="Newest statements").get_by_role("link").first
    expect(link).to_have_attribute("href", re.compile("^/dashboard/decisions/hw-"))


def test_a_page_hears_of_a_statement_while_it_is_open(page: Page, router_url: str) -> None:
    page.goto(f"{router_url}/dashboard/feedback")
    newest = page.get_by_role("region", name="Newest statements").get_by_role("link").first
    before = newest.get_attribute("href")
    body = {"model": "auto", "max_tokens": 4, "messages": [{"role": "user", "content": "What is 2 and 3?"}]}
    decision = _post(f"{router_url}/v1/chat/completions", body)["id"].removeprefix("chatcmpl-")
    _post(f"{router_url}/v1/feedback", {"decision_id": decision, "metric": "thumbs", "value": True})
    expect(newest).to_have_attribute("href", f"/dashboard/decisions/{decision}", timeout=40_000)
    assert not (before or "").endswith(decision)


def _post(url: str, body: object) -> dict[str, str]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        told: dict[str, str] = json.load(answer)
    return told
