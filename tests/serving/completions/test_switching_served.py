"""A conversation whose arm has its prompt in the cache stays there, over HTTP and between workers."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.serving.running_router import arm, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

CONFIG = {"limits": {"redis_s": 5.0}, "policy": {"name": "LinTS"}}


@pytest.mark.parametrize("cached_usd", [0.0, None])
async def test_later_turns_are_no_exploration_where_cached_tokens_have_a_price_and_as_usual_where_not(
    cached_usd: float | None, valkey_url: str, namespace: str
) -> None:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream())
        upstream.script(ANY, Say("Fine."))
        arms = [
            replace(arm(name, upstream.url, window=100_000), usd_per_mtok_cached_in=cached_usd) for name in ("a", "b")
        ]
        workers = [
            await stack.enter_async_context(
                running_router(arms, valkey_url, namespace, config=CONFIG, learn=seed == 0, seed=seed)
            )
            for seed in range(2)
        ]
        stayed, starts = 0, set()
        for number in range(20):
            messages: list[Any] = [{"role": "user", "content": f"Question {number}. " + "word " * 2000}]
            served = []
            for worker in workers:
                body = {"model": "auto", "messages": messages, "stream": True}
                async with worker.http.post("/v1/chat/completions", json=body) as response:
                    await response.read()
                    served.append(response.headers["x-highwayman-arm"])
                messages += [{"role": "assistant", "content": "Fine."}, {"role": "user", "content": "And then?"}]
            starts.add(served[0])
            stayed += served[0] == served[1]
            decision = await workers[0].decision(response.headers["x-highwayman-decision"])
            assert ("no_exploration" in decision["context"]["flags"]) == (cached_usd is not None)
            assert decision["mode"] == "route"
    assert starts == {"a", "b"}
    assert (stayed == 20) == (cached_usd is not None)
