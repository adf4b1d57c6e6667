"""A router that starts while Redis is down: on what it knew last, and as one of the others once Redis is there."""

import asyncio

import pytest

from tests.faults.audit import audit
from tests.faults.clients import Clients
from tests.faults.processes import WITHIN_S, Router, all_ready, world

CHAT, FEEDBACK = "/v1/chat/completions", "/v1/feedback"
ASK = {"model": "auto", "messages": [{"role": "user", "content": "What now?"}]}


@pytest.mark.timeout(180)
async def test_it_decides_with_the_version_it_knew_last_and_drains_what_it_took_when_redis_is_back() -> None:
    async with world() as here:
        router = here.router()
        await router.ready()
        async with Clients([router.url], seed=9) as clients:
            await asyncio.sleep(1.5)
            await clients.rest()
            await audit(here, clients.memory)
            version = (await router.get("/readyz"))["policy_version"]
            assert version > 0
            await router.end()
            here.valkey.kill()
            router.start()
            await router.until(ready=True, degraded=True, redis=False)
            known = (await router.get("/readyz"))["policy_version"]
            assert 0 < known <= version, "the last version it had time to keep"
            clients.go_on()
            await asyncio.sleep(1.0)
            await clients.rest()
            assert (await router.get("/readyz"))["spooled_events"] > 0
            here.valkey.start()
            await audit(here, clients.memory)
            assert clients.memory.refused == clients.memory.broken == 0


@pytest.mark.timeout(180)
async def test_what_a_newcomer_answered_without_redis_takes_feedback_at_the_others_once_it_is_there() -> None:
    async with world() as here:
        old = here.router()
        await old.ready()
        await old.end()
        here.valkey.kill()
        newcomer = here.router()  # it has never seen the others' secret
        await newcomer.until(ready=True, degraded=True, policy_version=0)
        status, _, headers = await newcomer.post(CHAT, ASK)
        name = headers["x-highwayman-decision"]
        assert status == 200
        here.valkey.start()
        old.start()
        await all_ready(here.valkey, old)
        assert await accepted(old, name)
        found = await audit(here)
        assert (found.decisions, found.statements) == (1, 1)


async def accepted(router: Router, name: str) -> bool:
    """Return whether the router takes feedback on the decision within the time it needs to hear of the secret."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            status, _, _ = await router.post(FEEDBACK, {"decision_id": name, "value": True})
            if status != 404:
                return status == 200
            await asyncio.sleep(0.1)
