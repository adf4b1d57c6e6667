"""The judge with the local pool's model: it asks, is answered, and files what it hears. How good its verdicts are is
not claimed: the model has 135 million parameters."""

import asyncio
from typing import Any

import pytest

from highwayman.serving.local_pool import start_local_pool
from tests.serving.running_router import Router, arm, ask, running_router

CHAT = "/v1/chat/completions"


async def scored(router: Router, decision_id: str) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while True:
            _, found = await router.get(f"/v1/decisions/{decision_id}")
            if found.get("feedback"):
                return dict(found["feedback"][0])
            await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
async def test_answers_of_a_real_model_are_scored_and_compared_by_a_real_judge(valkey_url: str, namespace: str) -> None:
    async with await start_local_pool() as pool:
        arms = [arm("plain", pool.url), arm("judge", pool.url)]
        wanted = {"arms": ["judge"], "rate": 0.0, "rates": {"plain": 1.0}}
        for pairwise, metric in ((0.0, "judge"), (1.0, "judge_preference")):
            raw = {
                "feedback": {"judge": {**wanted, "pairwise": pairwise}},
                "policy": {"floor": 1.0},  # both arms have their turn
            }
            async with running_router(arms, valkey_url, f"{namespace}-{metric}", config=raw) as router:
                for n in range(30):
                    body = ask(f"Name {n + 2} colours.", max_tokens=24, temperature=0)
                    _, _, headers = await router.post(CHAT, body)
                    if headers["x-highwayman-arm"] == "plain":
                        break
                said = await scored(router, headers["x-highwayman-decision"])
            assert (said["source"], said["metric"]) == ("judge", metric)
            assert 0.0 <= said["value"] <= 1.0
            if metric == "judge":
                assert '"how":"logprobs"' in said["text"]
