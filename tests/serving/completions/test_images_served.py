"""Images in the context of a running router's decisions."""

from typing import Any

from highwayman.env.types import Arm
from tests.env.encoder.features.test_image_features import picture
from tests.serving.running_router import running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream


async def test_a_decision_sees_images_that_are_sent_along_and_says_where_one_was_not_seen(
    valkey_url: str, namespace: str
) -> None:
    config: dict[str, Any] = {"images": {}, "encoder": {"deadline_s": 30.0}}
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("A square."))
        arm = Arm("a", (upstream.url,), "a-upstream", 1.0, 1.0, 4096, modalities=frozenset({"text", "image"}))
        async with running_router([arm], valkey_url, namespace, config=config) as router:
            contexts = []
            for url in (f"data:image/png;base64,{picture()}", f"{upstream.url}/square.png"):
                parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
                body = {"model": "auto", "messages": [{"role": "user", "content": parts}]}
                _, _, headers = await router.post("/v1/chat/completions", body)
                contexts.append((await router.decision(headers["x-highwayman-decision"]))["context"])
    assert [context["flags"] for context in contexts] == [[], ["image_unseen"]]
    assert all("/tags-images.12." in context["encoder"] for context in contexts)
    assert [context["tags"] for context in contexts] == [{}, {}]
    assert len(upstream.requests) == 2  # the picture was not fetched
