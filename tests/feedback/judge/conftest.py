"""A server that answers as it is told, and the way to it."""

import time
from collections.abc import AsyncIterator

import pytest

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.upstream.client import Upstream
from tests.upstream_server import ScriptedUpstream


@pytest.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as started:
        yield started


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream(EndpointHealth(time.monotonic), time.monotonic)
    await made.start()
    yield made
    await made.close()
