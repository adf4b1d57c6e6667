"""What choosing a replica by its load is worth where one of three is slow: seconds to the end of an answer.

    python -m benchmarks.replica_load [--seconds 10] [--routers 4] [--runs 3] [--rate 24] [--slow 4] [--others 0]

Three real HTTP servers on loopback do as vLLM does: eight requests run side by side, the others wait, the first token
comes after a fifth of the time, `/metrics` tells who waits and runs. Times are exponential with a mean of 0.5 s; the
slow replica takes `--slow` times as long. Requests come as a Poisson process to several routers' `Upstream`s, none of
which knows what the others send, as with `--workers`; `--others` a second go to the last replica past all routers.
Each way of choosing meets the same requests. Prints median and 95th percentile of the seconds to the last byte, and the
share that the last replica, the slow one, got; of `--runs` seeds the mean, least and most.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import aiohttp
import numpy as np
from aiohttp import web

from highwayman.env.load.poller import LoadPoller
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm
from highwayman.env.upstream.client import Upstream

_MEAN_S, _AT_ONCE, _REPLICAS = 0.5, 8, 3
_EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": null}]}\n\n'
_END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


class Replica:
    """A model server that answers so many requests side by side and tells so."""

    def __init__(self, slowness: float) -> None:
        self.url, self.answered = "", 0
        self._slowness = slowness
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = self._running = 0
        self._first_token_s, self._first_tokens = 0.0, 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        seconds = body["seconds"] * self._slowness
        came_at = time.monotonic()
        self.answered += "model" in body
        self._waiting += 1
        async with self._places:
            self._waiting, self._running = self._waiting - 1, self._running + 1
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await asyncio.sleep(0.2 * seconds)
            await response.prepare(request)
            await response.write(_EVENT)
            self._first_token_s, self._first_tokens = (
                self._first_token_s + time.monotonic() - came_at,
                self._first_tokens + 1,
            )
            await asyncio.sleep(0.8 * seconds)
            await response.write(_END)
            self._running -= 1
        return response

    async def _metrics(self, request: web.Request) -> web.Response:
        lines = {
            "num_requests_running": self._running,
            "num_requests_waiting": self._waiting,
            "kv_cache_usage_perc": self._running / _AT_ONCE,
            "time_to_first_token_seconds_sum": self._first_token_s,
            "time_to_first_token_seconds_count": self._first_tokens,
        }
        return web.Response(text="".join(f'vllm:{name}{{engine="0"}} {value}\n' for name, value in lines.items()))


class RoundRobin(Upstream):
    """Asks the replicas in turn."""

    turns = itertools.count()

    def _in_order(self, arm: Arm, affinity: str) -> list[str]:
        first = next(self.turns) % len(arm.endpoints)
        return [*arm.endpoints[first:], *arm.endpoints[:first]]


class Unbounded(Upstream):
    """Asks a conversation's replica, however busy."""

    def pending_calls(self, endpoint: str) -> int:
        """Return that nothing is known to be under way."""
        return 0


# name -> which Upstream, whether it knows conversations, whether replicas are asked for their load
WAYS: dict[str, tuple[type[Upstream], bool, bool]] = {
    "round robin": (RoundRobin, False, False),
    "by conversation": (Unbounded, True, False),
    "by conversation, bounded by calls from here": (Upstream, True, False),
    "by conversation, bounded by what they say": (Upstream, True, True),
    "least busy by calls from here": (Upstream, False, False),
    "least busy by what they say": (Upstream, False, True),
}


@asynccontextmanager
async def routers(kind: type[Upstream], arm: Arm, *, count: int, polls: bool) -> Any:
    """Yield upstreams that know nothing of each other."""
    made, tasks = [], []
    for number in range(count):
        loads = ReplicaLoads(time.monotonic)
        upstream = kind(EndpointHealth(time.monotonic), time.monotonic, loads=loads)
        await upstream.start()
        made.append(upstream)
        if polls:
            poller = LoadPoller([arm], loads, clock=time.monotonic, rng=np.random.default_rng(number))
            tasks.append(asyncio.create_task(poller.run()))
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for upstream in made:
            await upstream.close()


async def seconds_taken(way: str, *, seed: int, given: argparse.Namespace) -> Any:
    """Return the seconds of each answer, shape (n,), and the share of the slow replica."""
    kind, has_conversations, polls = WAYS[way]
    rng = np.random.default_rng(seed)
    taken: list[float] = []
    async with AsyncExitStack() as stack:
        slowness = [1.0] * (_REPLICAS - 1) + [given.slow]
        replicas = [await stack.enter_async_context(Replica(times)) for times in slowness]
        arm = Arm("a", tuple(replica.url for replica in replicas), "m", None, None, 4096)
        upstreams: Sequence[Upstream] = await stack.enter_async_context(
            routers(kind, arm, count=given.routers, polls=polls)
        )

        async def call(upstream: Upstream, body: dict[str, Any], affinity: str) -> None:
            begun = time.monotonic()
            body_for: Callable[[Arm], dict[str, Any]] = lambda _: body  # noqa: E731
            answer = await upstream.open([arm], "/v1/chat/completions", body_for, affinity=affinity)
            await answer.body()
            taken.append(time.monotonic() - begun)

        async def others(client: aiohttp.ClientSession) -> None:
            own = np.random.default_rng(seed + 1)
            while True:
                await asyncio.sleep(own.exponential(1.0 / given.others))
                body = {"seconds": own.exponential(_MEAN_S)}
                tasks.append(asyncio.create_task(_post(client, replicas[-1].url, body)))

        tasks: list[asyncio.Task[None]] = []
        if given.others:
            client = await stack.enter_async_context(aiohttp.ClientSession())
            tasks.append(asyncio.create_task(others(client)))
        calls, due = [], time.monotonic()
        until = due + given.seconds
        while due < until:
            due += rng.exponential(1.0 / given.rate)
            body = {"model": "m", "stream": True, "seconds": rng.exponential(_MEAN_S)}
            affinity = f"c{rng.integers(0, 10**9)}" if has_conversations else ""
            upstream = upstreams[int(rng.integers(given.routers))]
            await asyncio.sleep(due - time.monotonic())
            calls.append(asyncio.create_task(call(upstream, body, affinity)))
        await asyncio.gather(*calls)
        if tasks:
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return np.array(taken), replicas[-1].answered / len(taken)


async def _post(client: aiohttp.ClientSession, url: str, body: dict[str, float]) -> None:
    async with client.post(url + "/v1/chat/completions", json=body) as response:
        await response.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--routers", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=24.0, help="requests a second; the replicas do 16, 16 and 4")
    parser.add_argument("--slow", type=float, default=4.0)
    parser.add_argument(
        "--others", type=float, default=0.0, help="requests a second to the last replica past the routers"
    )
    given = parser.parse_args()
    print(f"{'':45}{'median s':>10}{'p95 s':>8}{'  (least, most)':16}{'to the last one':>16}")
    for way in WAYS:
        medians, tails, shares = [], [], []
        for seed in range(given.runs):
            taken, share = asyncio.run(seconds_taken(way, seed=seed, given=given))
            medians.append(np.median(taken))
            tails.append(np.quantile(taken, 0.95))
            shares.append(share)
        spread = f"({min(tails):.2f}, {max(tails):.2f})"
        print(f"{way:45}{np.mean(medians):10.2f}{np.mean(tails):8.2f}  {spread:14}{np.mean(shares):15.0%}", flush=True)


if __name__ == "__main__":
    main()
