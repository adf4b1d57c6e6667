"""What tests of started routers stand on, where they need nothing else of it."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyStore
from tests.upstream_server import ScriptedUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        yield server


@pytest.fixture
async def keys(redis_client: Redis, namespace: str) -> KeyStore:
    return KeyStore(redis_client, namespace, Store(redis_client, namespace))
