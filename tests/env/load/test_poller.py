"""The poller against real servers: what it files, what it leaves alone, and that nothing ends it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web

from highwayman.env.load.poller import LoadPoller
from highwayman.env.load.replica_loads import ReplicaLoads, ReplicaState
from highwayman.env.types import Arm
from tests.served_app import served
from tests.upstream_server import ScriptedUpstream, closed_url
from tests.vllm_metrics import vllm_metrics


def arm(*endpoints: str, key: str | None = None) -> Arm:
    return Arm("a", endpoints, "adapter", None, None, 4096, api_key_env=key)


@asynccontextmanager
async def polling(
    *arms: Arm,
    every_s: float = 0.01,
    fresh_s: float = 5.0,
    on_state: Callable[[str, ReplicaState | None], None] = lambda endpoint, state: None,
) -> AsyncIterator[ReplicaLoads]:
    loads = ReplicaLoads(time.monotonic, fresh_s=fresh_s)
    rng = np.random.default_rng(0)
    poller = LoadPoller(arms, loads, clock=time.monotonic, rng=rng, every_s=every_s, on_state=on_state)
    task = asyncio.create_task(poller.run())
    try:
        yield loads
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as started:
        yield started


@asynccontextmanager
async def serving(handler: Callable[[web.Request], object]) -> AsyncIterator[str]:
    """Yield the URL of a server that answers every GET of /metrics with `handler`."""
    app = web.Application()
    app.router.add_get("/metrics", handler)  # type: ignore[arg-type]
    async with served(app) as url:
        yield url


async def test_load_and_models_of_a_server_are_filed_again_and_again(
    server: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_KEY", "abc")
    server.metrics, server.models = vllm_metrics(running=3.0, waiting=1.0, kv=0.5), ["base"]
    async with polling(arm(server.url, key="SERVER_KEY")) as loads:
        await until(lambda: loads.state(server.url))
        state = loads.state(server.url)
        assert state is not None
        assert (state.waiting, state.running, state.kv_cache_usage) == (1.0, 3.0, 0.5)
        await until(lambda: not loads.serves(server.url, "adapter"))
        server.metrics = vllm_metrics(running=7.0)
        await until(lambda: (state := loads.state(server.url)) and state.running == 7.0)
    paths = [path for path, _ in server.polled]
    assert paths.count("/metrics") > 1
    assert paths.count("/v1/models") == 1
    assert {headers.get("authorization") for _, headers in server.polled} == {"Bearer abc"}


@pytest.mark.parametrize("text", [None, "<html>it works!</html>", vllm_metrics(running="NaN")])
async def test_a_server_that_does_not_speak_of_its_load_is_left_alone_and_so_is_its_list_of_models(
    server: ScriptedUpstream, text: str | None
) -> None:
    server.metrics, server.models = text, ["base"]
    async with polling(arm(server.url)) as loads:
        await until(lambda: server.polled)
        await asyncio.sleep(0.1)  # ten times as long as between two readings
        assert [path for path, _ in server.polled] == ["/metrics"]
        assert loads.state(server.url) is None
        assert loads.serves(server.url, "adapter")


async def test_a_server_that_has_told_before_is_asked_on_when_it_fails_and_its_load_is_shown_as_unknown(
    server: ScriptedUpstream,
) -> None:
    shown: list[ReplicaState | None] = []
    server.metrics = vllm_metrics(running=1.0)
    async with polling(arm(server.url), fresh_s=0.05, on_state=lambda endpoint, state: shown.append(state)) as loads:
        await until(lambda: bool(shown) and shown[-1] is not None)
        server.metrics = None
        await until(lambda: bool(shown) and shown[-1] is None)
        server.metrics = vllm_metrics(running=2.0)
        await until(lambda: (state := loads.state(server.url)) and state.running == 2.0)
    assert shown[0] is not None


async def test_servers_that_are_away_silent_endless_or_odd_keep_nobody_from_being_read(
    server: ScriptedUpstream,
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"vllm:num_requests_running 1.0\n" * 4096)

    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def redirecting(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(server.url + "/metrics")

    server.metrics = vllm_metrics(running=1.0)
    async with serving(endless) as first, serving(silent) as second, serving(redirecting) as third:
        urls = (closed_url(), first, second, third, "http://[::1", server.url)
        async with polling(arm(*urls)) as loads:
            await until(lambda: loads.state(server.url))
            server.metrics = vllm_metrics(running=2.0)
            await until(lambda: (state := loads.state(server.url)) and state.running == 2.0)
            assert [loads.state(url) for url in urls[:-1]] == [None] * 5


async def test_what_nobody_foresaw_ends_nothing(server: ScriptedUpstream, caplog: pytest.LogCaptureFixture) -> None:
    def on_state(endpoint: str, state: ReplicaState | None) -> None:
        raise RuntimeError("scripted")

    server.metrics = vllm_metrics(running=1.0)
    async with polling(arm(server.url), on_state=on_state) as loads:
        await until(lambda: "scripted" in caplog.text)
        assert loads.state(server.url) is not None


@pytest.mark.parametrize(("behaviour", "tries"), [(503, (2, 7)), (404, (1, 1)), (501, (1, 1))])
async def test_a_server_that_fails_is_asked_ever_more_rarely(behaviour: int, tries: tuple[int, int]) -> None:
    asked: list[float] = []

    async def failing(request: web.Request) -> web.Response:
        asked.append(time.monotonic())
        return web.Response(status=behaviour)

    async with serving(failing) as url, polling(arm(url), every_s=0.005):
        await asyncio.sleep(0.25)  # 0.01, 0.02, 0.04, 0.08, 0.16 behind each other
    assert tries[0] <= len(asked) <= tries[1]


async def test_endpoints_that_come_are_asked_and_those_that_go_are_asked_no_more(server: ScriptedUpstream) -> None:
    shown: list[tuple[str, ReplicaState | None]] = []
    loads, gone = ReplicaLoads(time.monotonic), closed_url()
    poller = LoadPoller(
        [arm(gone)], loads, clock=time.monotonic, rng=np.random.default_rng(0), every_s=0.01,
        on_state=lambda endpoint, state: shown.append((endpoint, state)),
    )  # fmt: skip
    server.metrics = vllm_metrics()
    task = asyncio.create_task(poller.run())
    poller.follow([arm(server.url), arm(gone)])
    await until(lambda: any(state is not None for _, state in shown))
    poller.follow([arm(gone)])
    assert shown[-1] == (server.url, None), "what it said last stays on display"
    asked = len(shown)
    await asyncio.sleep(0.05)
    assert len(shown) == asked
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
