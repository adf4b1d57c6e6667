"""One started router with two scripted arms for all of this folder's files, in a thread: sync clients wait for it."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from tests.serving.running_router import arm, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    upstream: ScriptedUpstream


@pytest.fixture(scope="module")
def served(valkey_url: str, module_namespace: str) -> Iterator[Served]:
    """A router that two arms stand behind, one of which is configured to decide, with a challenger."""
    started: list[Served] = []
    ready, stop = threading.Event(), asyncio.Event()
    config = {
        "limits": {"redis_s": 5.0},  # a busy machine sends nothing to the spool
        "policy": {"name": "Fixed", "options": {"arm": "small"}, "floor": 0.2},
        "tournament": {"challengers": [{"name": "learned", "policy": {"name": "HierTS"}}]},
    }

    async def serve() -> None:
        async with ScriptedUpstream() as upstream:
            upstream.script(ANY, Say("Paris is it."))
            arms = [replace(arm(name, upstream.url), tools=True) for name in ("small", "large")]
            async with running_router(arms, valkey_url, module_namespace, config=config) as router:
                started.append(Served(router.url, upstream))
                ready.set()
                await stop.wait()

    runner = asyncio.Runner()
    thread = threading.Thread(target=runner.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30), "the router did not start"
        yield started[0]
    finally:
        runner.get_loop().call_soon_threadsafe(stop.set)
        thread.join()
        runner.close()
