"""Errors that clients are told, counted at a started router."""

import re

from highwayman.env.pool.pool_file import NamedModel
from highwayman.env.types import Arm
from tests.ports import free_port
from tests.serving.running_router import arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

CHAT, FEEDBACK = "/v1/chat/completions", "/v1/feedback"


async def test_every_error_that_a_client_is_told_is_counted_by_its_code_whichever_route_tells_it(
    valkey_url: str, namespace: str
) -> None:
    named = NamedModel(
        Arm("bge", (f"http://127.0.0.1:{free_port()}",), "bge", None, None, 0), frozenset({"embeddings"})
    )
    keys = frozenset({"sesame"})
    async with (
        ScriptedUpstream() as upstream,
        running_router([arm("a", upstream.url)], valkey_url, namespace, named=(named,), api_keys=keys) as router,
    ):
        assert (await router.post(CHAT, ask()))[0] == 401
        router.http.headers["authorization"] = "Bearer sesame"  # type: ignore[index]
        for path, body in (
            (CHAT, ask(model="nobody")),
            ("/v1/messages", {"model": "nobody"}),
            ("/v1/embeddings", {"model": "nobody", "input": "hi"}),
            ("/v1/embeddings", {"model": "bge", "input": "hi"}),
            ("/v1/outcomes", {"decision_id": "x", "status": "failed"}),
            (FEEDBACK, {"decision_id": "x", "value": 1}),
            ("/v1/nothing", {}),
        ):
            assert (await router.post(path, body))[0] >= 400, path
        assert (await router.get("/v1/decisions/x"))[0] == 404
        for path in (CHAT, "/v1/messages", "/v1/embeddings", "/v1/outcomes"):
            assert (await router.get(path))[0] == 405, path
        async with router.http.get("/metrics") as response:
            lines = re.findall(r'request_errors_total\{code="(\w+)"\} (\d)', await response.text())
    assert {code: int(count) for code, count in lines if count != "0"} == {
        "invalid_api_key": 1,
        "model_not_found": 2,
        "invalid_request": 1,
        "upstream_failed": 1,
        "decision_not_found": 3,
        "not_found": 5,
    }
