"""Two model servers: one that fails as a test says, one that answers."""

from collections.abc import AsyncIterator

import pytest

from tests.upstream_server import ANY, Say, ScriptedUpstream


@pytest.fixture
async def bad() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        yield server


@pytest.fixture
async def well() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say("all is well"))
        yield server
