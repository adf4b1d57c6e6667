"""Real parts for the tests: one Valkey for the session, a namespace of its own for each test."""

import asyncio
import functools
import gc
import os
import sys
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis
from hypothesis import HealthCheck, settings

# One thread for each process's sums, before numpy and torch read it: two would spin for the cores that other tests use.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

# What is compiled is kept, here and by the routers that tests start a hundred times, whatever the environment says: to
# compile it anew was a quarter of a router's start, and a third of the collection of the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No test asks a server of the world, and to read all whom a machine trusts takes every router 40 ms.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("nobody.pem"))

from highwayman.env.encoder import engine
from highwayman.env.encoder.engines.static_engine import StaticEngine
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey

sys.dont_write_bytecode = False

# A busy machine is no failure: no example has a deadline, and making examples may take long.
# Sixty examples keep the suite under four minutes on two cores; `--hypothesis-profile=thorough` tries more.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", _PATIENT, max_examples=60)
settings.register_profile("thorough", _PATIENT, max_examples=500)
settings.load_profile("patient")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect with the garbage collector at rest: what is collected stays, and to look through it took a third."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def shared_table() -> Iterator[None]:
    """Encoders of one process share the static table, as a router has but one: to open and digest it takes 55 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "StaticEngine", functools.cache(StaticEngine))
        yield


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Valkey that lives as long as the test session."""
    folder: Path = tmp_path_factory.mktemp("valkey")
    with asyncio.Runner() as runner:
        server = EmbeddedValkey(folder)
        runner.run(server.start())
        yield server.url
        runner.run(server.stop())


@pytest.fixture
async def redis_client(valkey_url: str) -> AsyncIterator[aioredis.Redis]:
    """A client as the router makes it."""
    client = connect(valkey_url)
    yield client
    await client.aclose()


@pytest.fixture
def namespace() -> str:
    """A namespace no other test uses."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def module_namespace() -> str:
    """A namespace no other module uses, for what its tests share."""
    return f"test-{uuid.uuid4().hex}"
