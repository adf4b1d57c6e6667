"""What is live is fetched once for news, also after it was put in place."""

import json
import time
import urllib.request
from itertools import pairwise

from playwright.sync_api import Page


def ask(url: str) -> None:
    """Have the router decide and answer: that is news."""
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "What is 12 + 9?"}]}).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def test_a_page_is_not_fetched_more_often_once_it_was_put_in_place(page: Page, router_url: str) -> None:
    fetched: list[float] = []
    page.on("request", lambda sent: fetched.append(time.monotonic()) if sent.resource_type == "xhr" else None)
    page.goto(f"{router_url}/dashboard/budget")
    until = time.monotonic() + 17.0
    while time.monotonic() < until:
        ask(router_url)
        page.wait_for_timeout(1_000)
    assert len(fetched) >= 2
    assert min(after - before for before, after in pairwise(fetched)) > 4.5  # at most every five seconds
