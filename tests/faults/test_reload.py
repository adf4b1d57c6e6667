"""Two replicas of two workers each, changed under load: nothing is lost, and all have the change in time."""

import asyncio
import os
import signal
import time
from collections import Counter
from typing import Any

import aiohttp
import yaml

from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyGrant, KeyState, KeyStore
from highwayman.feedback.trust.principal import SCOPES
from tests.faults.processes import Router, World, world

WITHIN_S = 2.0  # the promise
CLIENTS = 50
OPERATOR = "an-operator"


async def test_arms_prices_and_keys_change_under_the_load_of_fifty_clients_and_no_request_fails() -> None:
    async with world(slow_s=0.05) as here, here.client() as redis:
        keys = KeyStore(redis, "faults", Store(redis, "faults"))
        doomed, texts = "", []
        for name in ("operator", "clients", "doomed"):
            api_key, text = await keys.add(KeyGrant(name, "default", tuple(SCOPES)), at=0.0)
            doomed, texts = api_key.id, [*texts, text]
        routers = [here.router("--workers=2") for _ in range(2)]
        for router in routers:
            await router.says("Highwayman listens")  # all of its workers are up
        urls, over = [router.url for router in routers], asyncio.Event()
        clients, admin = Load(urls, texts[1]), Operator(urls, texts[0])
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(clients.live(number, over))
            await clients.settled()
            took = {
                "a price in the file, by SIGHUP": await _hang_up(here, routers[0], admin),
                "an arm added": await admin.change("add/d", {**_entry(here), "model": "d-upstream"}),
                "an arm drained": await admin.change("drain/b"),
                "an arm removed": await admin.change("remove/c"),
                "a price": await admin.change("price/a", {"usd_per_mtok_in": 9.0, "usd_per_mtok_out": 9.0}),
                "a key revoked": await _revoked(keys, doomed, Operator(urls, texts[2])),
            }
            await clients.settled()
            over.set()
        print({name: f"{seconds:.2f} s" for name, seconds in took.items()}, clients.statuses)
        assert set(clients.statuses) == {200}, clients.statuses
        assert max(took.values()) < WITHIN_S, took
        told = b"".join([fields[b"e"] for _, fields in await redis.xrange("highwayman:{faults}:log")])
        for words in (b"SIGHUP at ", b"pool.d", b"pool.b.state", b"arm_dropped", b"price_changed"):
            assert words in told, words


class Load:
    """Clients that ask one after another, and what they were answered with."""

    def __init__(self, urls: list[str], key: str) -> None:
        self.urls, self.headers = urls, {"authorization": f"Bearer {key}"}
        self.statuses: Counter[int] = Counter()

    async def live(self, number: int, over: asyncio.Event) -> None:
        asked = {"role": "user", "content": "Sum 3 and 5."}
        body = {"model": ("auto", "a", "auto-quality")[number % 3], "messages": [asked], "stream": number % 5 == 0}
        async with aiohttp.ClientSession(self.urls[number % len(self.urls)], headers=self.headers) as http:
            while not over.is_set():
                async with http.post("/v1/chat/completions", json=body) as response:
                    await response.read()
                self.statuses[response.status] += 1
                await asyncio.sleep(0.1)

    async def settled(self) -> None:
        """Return once the clients have been answered a few times more."""
        wanted = self.statuses.total() + 3 * CLIENTS
        async with asyncio.timeout(60):
            while self.statuses.total() < wanted:
                await asyncio.sleep(0.02)


class Operator:
    """Whoever has a key, at the first of the replicas."""

    def __init__(self, urls: list[str], key: str) -> None:
        self.urls, self.headers = urls, {"authorization": f"Bearer {key}"}

    async def status(self, url: str) -> int:
        async with aiohttp.ClientSession(headers=self.headers) as http, http.get(f"{url}/v1/models") as response:
            return response.status

    async def pool(self) -> dict[str, Any]:
        url = f"{self.urls[0]}/v1/admin/pool"
        async with aiohttp.ClientSession(headers=self.headers) as http, http.get(url) as response:
            return dict(await response.json())

    async def generations(self) -> list[int]:
        """Return the generation that each of the four workers says it has."""
        workers = (await self.pool())["workers"]
        assert len(workers) == 4, workers
        return [report["generation"] for report in workers.values()]

    async def change(self, path: str, body: Any = None) -> float:
        """Return after how many seconds all four workers have a change."""
        before, began = max(await self.generations()), time.monotonic()
        url = f"{self.urls[0]}/v1/admin/pool/{path}"
        async with aiohttp.ClientSession(headers=self.headers) as http, http.post(url, json=body) as response:
            assert response.status == 200, await response.text()
        await self.until_all_have(before + 1)
        return time.monotonic() - began

    async def until_all_have(self, generation: int) -> None:
        async with asyncio.timeout(30):
            while min(await self.generations()) < generation:
                await asyncio.sleep(0.02)


def _entry(here: World) -> dict[str, Any]:
    prices = {"usd_per_mtok_in": 1.0, "usd_per_mtok_out": 1.0}
    return {"endpoint": here.upstream.url, "context_window_tokens": 4096, **prices}


async def _hang_up(here: World, router: Router, admin: Operator) -> float:
    """Return after how many seconds all four workers have a price that the two of one replica were told to read."""
    pool = yaml.safe_load(here.pool.read_text())
    pool["arms"]["b"]["usd_per_mtok_in"] = 77.0
    here.pool.write_text(yaml.safe_dump(pool))
    before, began = max(await admin.generations()), time.monotonic()
    os.kill(router.pid, signal.SIGHUP)
    await admin.until_all_have(before + 1)
    took = time.monotonic() - began
    assert (await admin.pool())["arms"]["b"]["usd_per_mtok_in"] == 77.0
    return took


async def _revoked(keys: KeyStore, key_id: str, holder: Operator) -> float:
    """Return after how many seconds no worker takes a key any more: ten connections to each replica fail then."""
    began = time.monotonic()
    await keys.set_state(key_id, KeyState.REVOKED)
    async with asyncio.timeout(30):
        while True:
            asked_at = time.monotonic()
            if {await holder.status(url) for url in holder.urls for _ in range(10)} == {401}:
                return asked_at - began
