"""A conversation stays with its replica, over HTTP."""

from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.serving.running_router import arm, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream


@pytest.mark.parametrize("by", ["history", "header", "prompt_cache_key"])
async def test_all_turns_of_a_conversation_go_to_one_replica_and_conversations_to_several(
    by: str, valkey_url: str, namespace: str
) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(ScriptedUpstream()) for _ in range(3)]
        for replica in replicas:
            replica.script(ANY, Say("Fine."))
        one_arm = arm("a", *(replica.url for replica in replicas))
        router = await stack.enter_async_context(running_router([one_arm], valkey_url, namespace))
        served: list[set[int]] = []
        for number in range(12):
            messages: list[Any] = []
            asked_of = set()
            for turn in range(4):
                question = f"Question {turn}" if by != "history" else f"Question {turn} of conversation {number}"
                messages.append({"role": "user", "content": question})
                before = [len(replica.requests) for replica in replicas]
                named = {"prompt_cache_key": f"c{number}"} if by == "prompt_cache_key" else {}
                headers = {"x-conversation-id": f"c{number}"} if by == "header" else {}
                body = {"model": "auto", "messages": messages, **named}
                async with router.http.post("/v1/chat/completions", json=body, headers=headers) as response:
                    assert response.status == 200
                    await response.read()
                asked_of |= {k for k, count in enumerate(before) if len(replicas[k].requests) > count}
                messages = [*messages, {"role": "assistant", "content": "Fine."}]
            served.append(asked_of)
    assert all(len(asked_of) == 1 for asked_of in served)
    assert len(set.union(*served)) > 1
