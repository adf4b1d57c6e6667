"""What is said of an answer stays with it, though the client's own calls carry its ids."""

from typing import Any

import pytest

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

IDS = {"x-openwebui-message-id": "msg-1", "x-openwebui-chat-id": "chat-1"}
TITLE = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history."
SIGNALS = {"feedback": {"implicit": ["regenerated", "rephrased", "abandoned", "tool_failure"]}}


async def asked(router: Router, text: str, **headers: str) -> str:
    """Return the decision."""
    sent = {**IDS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with router.http.post("/v1/chat/completions", json=ask(text), headers=sent) as response:
        await response.read()
        return response.headers["x-highwayman-decision"]


def weights(decision: dict[str, Any]) -> list[float]:
    return [statement["weight"] for statement in decision["feedback"] if statement["standing"] == "counts"]


@pytest.mark.parametrize("about", [{"request_id": "msg-1"}, {"conversation_id": "chat-1"}])
async def test_a_thumb_on_a_message_or_its_chat_leaves_the_clients_tasks_alone(
    about: dict[str, str], valkey_url: str, namespace: str
) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say())
        async with running_router([arm("a", upstream.url)], valkey_url, namespace, config=SIGNALS) as router:
            answer = await asked(router, "How do I prune a pear tree?")
            tasks = [
                await asked(router, TITLE),
                await asked(router, TITLE),
                await asked(router, "Name it.", x_openwebui_task="title_generation"),
            ]
            before = [await router.decision(task) for task in tasks]
            await router.post("/v1/feedback", {**about, "metric": "thumbs", "value": False})
            assert weights(await router.decision(answer, feedback=1)) == [1.0]
            for task, seen in zip(tasks, before, strict=True):
                assert seen["context"]["flags"] == ["client_task"]
                assert seen["mode"] == "route"
                assert (await router.decision(task))["feedback"] == []
