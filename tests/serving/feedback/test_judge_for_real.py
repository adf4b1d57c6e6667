"""The judge with the local pool's model: it asks, is answered, and files what it hears. How good its verdicts are is
not claimed: the model has 135 million parameters."""

import asyncio
import re

import pytest

from highwayman.serving.processes.local_pool import start_local_pool
from tests.serving.running_router import Router, arm, ask, running_router

CHAT = "/v1/chat/completions"


async def came_to(router: Router, *any_of: str) -> None:
    """Return once a case came to one of these."""
    async with asyncio.timeout(90):
        while True:
            async with router.http.get("/metrics") as response:
                text = await response.text()
            if any(re.search(rf'^highwayman_judged_total{{came_to="{one}"}} [1-9]', text, re.M) for one in any_of):
                return
            await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
async def test_answers_of_a_real_model_are_scored_and_compared_by_a_real_judge(valkey_url: str, namespace: str) -> None:
    async with await start_local_pool() as pool:
        arms = [arm("plain", pool.url), arm("other", pool.url), arm("judge", pool.url)]
        for pairwise in (0.0, 1.0):
            wanted = {"arms": ["judge"], "rate": 0.0, "rates": {"plain": 1.0}, "pairwise": pairwise}
            raw = {"feedback": {"judge": wanted}, "policy": {"floor": 1.0}}  # all arms have their turn
            async with running_router(arms, valkey_url, f"{namespace}-{pairwise:g}", config=raw) as router:
                for n in range(60):
                    body = ask(f"Name {n + 2} colours.", max_tokens=24, temperature=0)
                    _, _, headers = await router.post(CHAT, body)
                    if headers["x-highwayman-arm"] == "plain":
                        break
                await came_to(router, *(("judge_preference", "junk") if pairwise else ("judge",)))
                found = await router.decision(headers["x-highwayman-decision"])
            for said in found["feedback"]:
                assert (said["source"], said["metric"]) == ("judge", "judge_preference" if pairwise else "judge")
                assert 0.0 <= said["value"] <= 1.0
            assert pairwise or found["feedback"]
