from pathlib import Path

from benchmarks.proxies.arena import DIRECT, Arena
from benchmarks.proxies.cores import placement
from benchmarks.proxies.load import Setting
from benchmarks.proxies.mock_upstream import EVENTS, PAUSE_S
from benchmarks.proxies.peer import Launch, Site
from benchmarks.proxies.peers.fastapi_aiohttp import FastApiAiohttp


class Elsewhere:
    name = "elsewhere"

    def launch(self, site: Site) -> Launch:
        return Launch([site.program("no-such-proxy")], "/health")


async def test_a_peer_is_asked_plain_and_streamed_and_one_that_is_not_installed_is_told(tmp_path: Path) -> None:
    async with Arena(placement(), venvs=[tmp_path], settle_s=0.01) as arena:
        for peer in (FastApiAiohttp(), Elsewhere()):
            await arena.add(peer)
        assert arena.names == [DIRECT, FastApiAiohttp.name]
        assert arena.missing == {"elsewhere": "no no-such-proxy on PATH or in a --venv"}
        bare = await arena.ask(DIRECT, Setting(stream=False, clients=2), 0.05)
        plain = await arena.ask(FastApiAiohttp.name, Setting(stream=False, clients=2), 0.05)
        streamed = await arena.ask(FastApiAiohttp.name, Setting(stream=True, clients=2), 0.05)
        assert (bare.errors, plain.errors, streamed.errors) == (0, 0, 0)
        assert bare.cpu_s == 0.0
        assert 0.0 < plain.cpu_s / plain.requests < streamed.cpu_s / streamed.requests
        assert streamed.latency_s >= EVENTS * PAUSE_S
        assert arena.rss_bytes(FastApiAiohttp.name) > 10_000_000
