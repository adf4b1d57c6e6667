"""What the dashboard costs: first paint, what is sent, what it takes of completions, and of memory while it is open.

    python -m benchmarks.dashboard [--visits 9] [--pairs 12] [--span-s 6] [--minutes 10]

A router with eight arms and a model server that answers at once, each in a process of its own, and Chromium (CHROMIUM,
or the one on PATH). First visits by browsers that know nothing: milliseconds to the first contentful paint, and bytes.
Then completions by sixteen clients who never wait, in spans by turns with the overview open and without, in random
order within a pair: requests a second and CPU of the router and its Valkey per request, and the ratios. Then an open
overview that hears of news all the time: what its heap holds after a collection, and how many nodes its page has.
"""

import argparse
import asyncio
import os
import random
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import numpy as np
from playwright.async_api import Browser, Page, async_playwright

from benchmarks.overhead import cpu_seconds, prompt, upstream
from benchmarks.running import Running, running

_ARMS, _CLIENTS, _TOKENS = 8, 16, 60
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")
_LOOK_S = 15.0  # between two looks at the heap
_UPDATES = """async () => {
  const part = document.querySelector("[hx-trigger*='sse:news']");
  const [target, swap] = ["hx-target", "hx-swap"].map((name) => part.getAttribute(name));
  const how = { source: part, target, select: "#live", swap };
  for (let k = 0; k < 80; k++) await htmx.ajax("GET", location.pathname, how);
}"""


@dataclass(slots=True)
class Traffic:
    """Requests by clients who ask again as soon as they are answered."""

    url: str
    rng: random.Random
    answered: int = 0

    async def run(self, clients: int, *, pause_s: float = 0.0, thumbs: bool = False) -> None:
        """Ask until cancelled."""
        async with aiohttp.ClientSession(self.url) as session, asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._ask(session, pause_s, thumbs))

    async def _ask(self, session: aiohttp.ClientSession, pause_s: float, thumbs: bool) -> None:
        while True:
            body = {"model": "auto", "messages": [{"role": "user", "content": prompt(self.rng, _TOKENS)}]}
            async with session.post("/v1/chat/completions", json=body) as response:
                await response.read()
                response.raise_for_status()
                decision = response.headers["x-highwayman-decision"]
            self.answered += 1
            if thumbs:
                statement = {"decision_id": decision, "metric": "thumbs", "value": self.rng.random() < 0.7}
                async with session.post("/v1/feedback", json=statement) as response:
                    await response.read()
            if pause_s:
                await asyncio.sleep(pause_s)


async def paint(browser: Browser, url: str, visits: int) -> None:
    """Print how soon the overview is seen, and how much is sent for it."""
    paints, sizes = [], []
    for _ in range(visits):
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"{url}/dashboard")
        await page.locator(".plot svg").first.wait_for()
        paints.append(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        entries = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        sizes.append(await page.evaluate(f"{entries}.reduce((sum, entry) => sum + entry.transferSize, 0)"))
        await context.close()
    print(
        f"first paint: median {statistics.median(paints):.0f} ms, {min(paints):.0f} to {max(paints):.0f} in {visits} "
        f"visits; {max(sizes):,} bytes sent"
    )


async def cost(browser: Browser, router: Running, pairs: int, span_s: float) -> None:
    """Print what an open overview takes of completions."""
    rng = random.Random(0)
    traffic = Traffic(router.url, rng)
    work = asyncio.create_task(traffic.run(_CLIENTS))
    page = await browser.new_page()
    rates: dict[bool, list[float]] = {True: [], False: []}
    cpus: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs + 1):
        for is_open in rng.sample([True, False], 2):
            await page.goto(f"{router.url}/dashboard" if is_open else "about:blank")
            await asyncio.sleep(1.0)
            answered, cpu, began = traffic.answered, cpu_seconds(router.pid), time.monotonic()
            await asyncio.sleep(span_s)
            count = traffic.answered - answered
            if number:  # the first pair is for warming up
                rates[is_open].append(count / (time.monotonic() - began))
                cpus[is_open].append(1e6 * (cpu_seconds(router.pid) - cpu) / count)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await page.close()
    print(f"{pairs} pairs of {span_s:g} s, {_CLIENTS} clients: medians with the overview open, and without")
    for name, values, digits in (("requests a second", rates, 0), ("router's CPU, us a request", cpus, 0)):
        shown, hidden = np.array(values[True]), np.array(values[False])
        ratios = shown / hidden
        rows = np.random.default_rng(0).integers(pairs, size=(2000, pairs))
        low, high = np.quantile(np.median(ratios[rows], axis=1), [0.025, 0.975])
        print(
            f"  {name:27} {np.median(shown):8.{digits}f} {np.median(hidden):8.{digits}f}   ratio "
            f"{np.median(ratios):.4f} ({low:.4f} to {high:.4f})"
        )


async def heap(browser: Browser, url: str, minutes: float) -> None:
    """Print what an open overview holds, minute by minute, while there is news all the time."""
    page = await browser.new_page()
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    traffic = Traffic(url, random.Random(1))
    work = asyncio.create_task(traffic.run(1, pause_s=0.5, thumbs=True))
    await page.goto(f"{url}/dashboard")
    fetched = await _count_fetches(page)
    until = time.monotonic() + 60 * minutes
    kilobytes: list[float] = []
    nodes: list[float] = []

    async def look() -> None:
        await session.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in (await session.send("Performance.getMetrics"))["metrics"]}
        kilobytes.append(metrics["JSHeapUsedSize"] / 1000)
        nodes.append(metrics["Nodes"])

    while time.monotonic() < until:
        await asyncio.sleep(_LOOK_S)
        await look()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await page.reload()
    await page.locator(".plot svg").first.wait_for()
    await asyncio.sleep(_LOOK_S)
    await look()
    new_kilobytes, new_nodes = kilobytes.pop(), nodes.pop()
    third = max(len(kilobytes) // 3, 1)
    print(
        f"{minutes:g} minutes open, {fetched[0]} updates, {traffic.answered} answers: heap {kilobytes[0]:,.0f} kB at "
        f"first, median of the second third {statistics.median(kilobytes[third : 2 * third] or kilobytes):,.0f}, of "
        f"the last {statistics.median(kilobytes[-third:]):,.0f}; nodes {nodes[0]:,.0f}, then {nodes[-1]:,.0f}"
    )
    print(f"  the same page opened anew, with as much to show: {new_kilobytes:,.0f} kB, {new_nodes:,.0f} nodes")
    for _ in range(3):
        await page.evaluate(_UPDATES)
        await look()
    told = ", ".join(f"{size:,.0f} kB" for size in kilobytes[-3:])
    print(f"  updated 80, 160 and 240 times more with the same to show: {told}; {nodes[-1]:,.0f} nodes")
    await page.close()


async def _count_fetches(page: Page) -> list[int]:
    count = [0]

    def on_request(request: object) -> None:
        count[0] += getattr(request, "resource_type", "") in ("xhr", "fetch")

    page.on("request", on_request)
    return count


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Yield the browser. Raises SystemExit where there is none."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise SystemExit("there is no Chromium: apt-get install chromium, or name one in CHROMIUM")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS])
        yield browser
        await browser.close()


async def run(arguments: argparse.Namespace) -> None:
    """Start everything, measure, and stop it."""
    arms = {f"arm{k}": {"usd_per_mtok_out": 0.1 * (k + 1)} for k in range(_ARMS)}
    async with running("benchmarks.dashboard", arms) as router, chromium() as browser:
        warm = asyncio.create_task(Traffic(router.url, random.Random(2)).run(2, thumbs=True))
        await asyncio.sleep(5.0)
        warm.cancel()
        await asyncio.gather(warm, return_exceptions=True)
        await asyncio.sleep(2.0)
        await paint(browser, router.url, arguments.visits)
        if arguments.pairs:
            await cost(browser, router, arguments.pairs, arguments.span_s)
        if arguments.minutes:
            await heap(browser, router.url, arguments.minutes)


def main() -> None:
    """Measure, or serve as the model server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=9)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--span-s", type=float, default=6.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--serve-upstream", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_upstream is not None:
        upstream(arguments.serve_upstream)
        sys.exit()
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
