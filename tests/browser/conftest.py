"""A real browser before a real router: the local pool behind it, two made-up days on its log.

Pictures of every page at three widths, light and dark, are kept in the folder that HIGHWAYMAN_SCREENSHOTS names.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from benchmarks.filled_log.filling import fill
from highwayman.feedback.log.redis.redis import connect

NAMESPACE = "filled"
WIDTHS = (390, 820, 1280)  # a phone, a tablet, a screen
_STARTS_S = 120.0
# What Chromium asks the world for by itself is switched off: there is no world here.
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")

expect.set_options(timeout=15_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test the time that the router takes to start and to read its log, on a busy machine, too."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def router_url(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `highwayman up` on a filled log, whose learner has read all of it."""
    folder = tmp_path_factory.mktemp("router")
    config = asyncio.run(_filled(valkey_url))
    (folder / "highwayman.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "highwayman.serving.cli.main", "up", "--port", str(port)]
    options = ["--redis-url", valkey_url, "--config", "highwayman.yaml", "--state-dir", str(folder / "state")]
    with (
        (folder / "router.log").open("wb") as log,
        subprocess.Popen([*command, *options], cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process, folder / "router.log")
            yield url
        finally:
            process.terminate()
            process.wait(30)


async def _filled(valkey_url: str) -> dict[str, object]:
    client = connect(valkey_url, timeout_s=30.0)
    try:
        done = await fill(client, NAMESPACE, now=time.time())
    finally:
        await client.aclose()
    config: dict[str, object] = done.config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return config


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when the router is ready and its tally has all of the log."""
    until = time.monotonic() + _STARTS_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                if b'"status":"ready"' in answer.read().replace(b" ", b"") and _lag_s(url) == 0.0:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)  # another process tells by its answers only
    pytest.fail(f"the router did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


def _lag_s(url: str) -> float | None:
    """Return for how long the oldest event that the version in force does not have has waited; None: nobody says."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    values = [line.split()[-1] for line in lines if line.startswith("highwayman_learner_lag_seconds ")]
    return float(values[0]) if values else None


@pytest.fixture(scope="session")
def browser(router_url: str) -> Iterator[Browser]:
    """Chromium, Debian's unless CHROMIUM names another; it comes last, as its loop stands over others."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("there is no Chromium: apt-get install chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=[*_QUIET])
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of one test: nothing kept from another."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, router_url: str) -> Iterator[Page]:
    """A page that nothing may go wrong on: no error in the console, no request to anybody else, nothing refused."""
    page, wrong = context.new_page(), []
    page.on("console", lambda told: wrong.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith((router_url, "data:")) else wrong.append(sent.url))
    page.on("response", lambda got: wrong.append(f"{got.status} {got.url}") if got.status >= 500 else None)
    yield page
    assert wrong == []


def check_accessible(page: Page) -> None:
    """Fail where axe-core finds anything of WCAG 2.2 A or AA, or of its best practices."""
    found = Axe().run(page)
    told = [
        f"{violation['id']}: {violation['help']}: {[node['html'][:160] for node in violation['nodes'][:3]]}"
        for violation in found.response["violations"]
    ]
    assert told == []


def keep_picture(page: Page, name: str) -> None:
    """Keep a picture of the page, if a folder for pictures is named."""
    folder = os.environ.get("HIGHWAYMAN_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
