"""Watt-hours of requests on a running router: measured where an exporter tells, by the coefficient elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from tests.served_app import served
from tests.serving.running_router import arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

CHAT, WATTS = "/v1/chat/completions", 3_600_000.0  # so that a millisecond takes a watt-hour


@pytest.fixture
async def exporter() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The address of one, and what is set once it has been asked."""
    asked = asyncio.Event()

    async def tell(request: web.Request) -> web.Response:
        asked.set()
        return web.json_response({"watts": WATTS})

    app = web.Application()
    app.router.add_get("/power", tell)
    async with served(app) as url:
        yield f"{url}/power", asked


async def test_energy_is_measured_where_an_exporter_tells_and_by_the_coefficient_elsewhere(
    exporter: tuple[str, asyncio.Event], valkey_url: str, namespace: str
) -> None:
    url, asked = exporter
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
        metered = replace(arm("metered", upstream.url), wh_per_mtok=1e6, power_url=url)
        guessed, unknown = replace(arm("guessed", upstream.url), wh_per_mtok=1e6), arm("unknown", upstream.url)
        async with running_router([metered, guessed, unknown], valkey_url, namespace) as router:
            async with asyncio.timeout(5):
                await asked.wait()
            outcomes = {}
            for name in ("metered", "guessed", "unknown"):
                _, _, headers = await router.post(CHAT, ask(model=name))
                outcomes[name] = (await router.decision(headers["x-highwayman-decision"]))["outcome"]
            async with router.http.get("/metrics") as response:
                metrics = await response.text()
            assert 'highwayman_energy_wh_total{arm="guessed"} 11.0' in metrics
            assert 'highwayman_energy_wh_total{arm="unknown"}' not in metrics
    measured_s = outcomes["metered"]["wh"] * 3600 / WATTS
    assert 0.5 * outcomes["metered"]["latency_s"] <= measured_s <= outcomes["metered"]["latency_s"] + 0.5
    assert outcomes["guessed"]["wh"] == pytest.approx(11.0)
    assert outcomes["unknown"]["wh"] is None
