"""A call to a real model server with a real log."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.tasks import BackgroundTasks, cancel_and_wait
from highwayman.env.types import Outcome
from highwayman.env.upstream.client import Upstream, UpstreamTimeouts
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.serving.completions.calls.observers import CompletionObservers
from highwayman.serving.completions.calls.proxy_dependencies import ProxyDependencies
from highwayman.serving.metrics import Metrics
from tests.serving.completions.proxied import GatedJournal, Listener, Proxy
from tests.upstream_server import (
    ScriptedUpstream,
)


@pytest.fixture
async def proxy(redis_client: aioredis.Redis, namespace: str, tmp_path: Path) -> AsyncIterator[Proxy]:
    store, told = Store(redis_client, namespace), list[Outcome]()
    journal = GatedJournal(
        store,
        claim_spools(tmp_path / "spools", limit_bytes=1 << 20),
        writer="me",
        clock=time.monotonic,
        patience_s=10.0,  # a machine that is busy is no Redis that is away
        on_delivery_outcome=lambda fate, kind: None,
    )
    listener, idle = Listener(wants=True), Listener(wants=False)
    observers = CompletionObservers([idle, listener])
    calls = Upstream(EndpointHealth(time.monotonic), time.monotonic, UpstreamTimeouts(first_byte_s=10.0))
    await calls.start()
    dependencies = ProxyDependencies(
        upstream=calls,
        journal=journal,
        metrics=Metrics(),
        background=BackgroundTasks(),
        clock=lambda: 1_700_000_009.0,
        timer=time.monotonic,
        on_outcome=told.append,
        observers=observers,
    )
    running = asyncio.create_task(journal.run())
    async with ScriptedUpstream() as server:
        yield Proxy(dependencies, journal, store, server, listener, idle, told)
        await dependencies.background.drain()
        await observers.close()
        await calls.close()
    await cancel_and_wait(running)
    await store.close()
