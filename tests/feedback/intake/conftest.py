"""A desk of the test's own namespace."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from tests.feedback.intake.desks import Intake, intake


@pytest.fixture
async def desk(redis_client: aioredis.Redis, namespace: str, tmp_path: Path) -> AsyncIterator[Intake]:
    async with intake(redis_client, namespace, tmp_path) as started:
        yield started
