"""What Open WebUI 0.12.4 sent, recorded while a person used it, at a running router; and our function for it."""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from highwayman.env.pool.pool_file import load_pool
from highwayman.serving.processes.local_pool import local_pool_yaml
from tests.feedback.integrations.letters import payload
from tests.serving.running_router import Router, ask, running_router
from tests.upstream_server import ANY, Fail, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all tests

FUNCTION = Path(__file__).parents[3] / "integrations/open_webui/highwayman_feedback.py"
BY_HAND = ("x-openwebui-message-id", "x-openwebui-task")  # headers that the connection has only if somebody adds them
CHAT = "/v1/chat/completions"
HOLD_S = 1.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say("Paris."))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(
    valkey_url: str, module_namespace: str, upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Router]:
    """The arms of the local pool, whose server is a quicker one."""
    pool_file = tmp_path_factory.mktemp("pool") / "pool.yaml"
    pool_file.write_text(local_pool_yaml(upstream.url))
    config = {"feedback": {"hold_s": HOLD_S}}
    async with running_router(load_pool(pool_file).arms, valkey_url, module_namespace, config=config) as started:
        yield started


class Replay:
    """Sends what was recorded, each time as other chats of other people."""

    def __init__(self, router: Router, tag: str, *, without: tuple[str, ...] = ()) -> None:
        recording = payload("open_webui_0_12_4")
        self.requests: list[dict[str, Any]] = recording["requests"]
        self._tools = recording["tools"]
        self._router = router
        self._tag = tag
        self._without = without
        self.answers: list[str] = []  # decisions
        self.tasks: list[str] = []

    async def send(self, count: int) -> None:
        """Send the next requests."""
        for _ in range(count):
            request = self.requests.pop(0)
            body, path = request["body"], request["path"].replace("00000000", self._tag)
            headers = {name: value.replace("00000000", self._tag) for name, value in request["headers"].items()
                       if name not in self._without}  # fmt: skip
            is_task = bool(request["headers"].get("x-openwebui-task"))
            if path == CHAT:
                body = {**body, **({"tools": self._tools} if "tools" in body else {})}
            elif body is not None:
                body = {**body, "meta": {name: value.replace("00000000", self._tag)
                                         for name, value in body["meta"].items()}}  # fmt: skip
            async with self._router.http.request(request["method"], path, json=body, headers=headers) as response:
                assert response.status == 200, await response.text()
                await response.read()
                if path == CHAT:
                    (self.tasks if is_task else self.answers).append(response.headers["x-highwayman-decision"])
                    assert (response.headers.get("x-highwayman-tools") == "dropped") is not is_task

    async def counting(self, decision_id: str, feedback: int = 0) -> list[tuple[float, float]]:
        """The value and weight of what counts of what was said of a decision."""
        statements = (await self._router.decision(decision_id, feedback=feedback))["feedback"]
        return [(said["value"], said["weight"]) for said in statements if said["standing"] == "counts"]

    async def assert_tasks_are_untouched(self) -> None:
        for task in self.tasks:
            decision = await self._router.decision(task)
            assert (decision["context"]["flags"], decision["feedback"]) == (["client_task"], [])


async def test_thumbs_given_changed_and_deleted_count_once_for_their_answer_and_for_nothing_else(
    router: Router, upstream: ScriptedUpstream
) -> None:
    replay = Replay(router, "aaaaaaaa")
    await replay.send(4)  # title, answer, follow-ups, tags
    (first,) = replay.answers
    assert not any("tools" in body for body in upstream.requests)
    await replay.send(1)  # thumb up
    assert await replay.counting(first, 1) == [(1.0, 1.0)]
    await replay.send(3)  # tags for the thumb, the same thumb with them, thumb down
    assert await replay.counting(first, 3) == [(0.0, 1.0)]
    await replay.send(3)  # second answer, follow-ups, thumb down
    second = replay.answers[1]
    assert await replay.counting(second, 1) == [(0.0, 1.0)]
    await replay.send(3)  # with reason and comment
    assert await replay.counting(second, 3) == [(0.0, 1.0)]
    await replay.send(1)  # deleted
    assert await replay.counting(second, 4) == []
    assert await replay.counting(first) == [(0.0, 1.0)]
    assert (len(replay.answers), len(replay.tasks), replay.requests) == (2, 6, [])
    await replay.assert_tasks_are_untouched()


async def test_where_only_the_chat_is_named_its_answer_has_the_thumb_and_tasks_are_known_by_their_prompts(
    router: Router,
) -> None:
    replay = Replay(router, "bbbbbbbb", without=BY_HAND)
    await replay.send(5)
    assert await replay.counting(replay.answers[0], 1) == [(1.0, 1.0)]
    await replay.assert_tasks_are_untouched()


async def test_a_message_that_somebody_else_answered_takes_no_other_answer_of_its_chat_for_its_own(
    router: Router,
) -> None:
    replay = Replay(router, "cccccccc")
    await replay.send(4)
    said = {"type": "rating", "data": {"rating": -1}, "meta": {"message_id": "of another model", "chat_id": "x"}}
    said["meta"]["chat_id"] = replay.requests[0]["body"]["meta"]["chat_id"].replace("00000000", "cccccccc")
    before = await waiting(router)
    assert (await router.post("/api/v1/evaluations/feedback", said))[0] == 200
    assert (await waiting(router))["held"] == before["held"] + 1
    assert await replay.counting(replay.answers[0]) == []
    async with asyncio.timeout(10):
        while (await waiting(router))["expired"] == before["expired"]:
            await asyncio.sleep(0.05)
    async with router.http.get("/metrics") as response:
        assert f'highwayman_feedback_held_total{{fate="expired"}} {before["expired"] + 1}.0' in await response.text()


async def waiting(router: Router) -> dict[str, int]:
    return dict((await router.get("/v1/policy"))[1]["feedback_without_decision"])


class Feedbacks:
    """Open WebUI's table of feedback."""

    rows: dict[str, Any]

    @classmethod
    async def get_feedback_by_id(cls, id: str) -> Any:
        return cls.rows.get(id)


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function as Open WebUI loads it, with a table of feedback that is empty."""
    Feedbacks.rows = {}
    for name in ("open_webui", "open_webui.models", "open_webui.models.feedbacks"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["open_webui.models.feedbacks"], "Feedbacks", Feedbacks, raising=False)
    spec = importlib.util.spec_from_file_location("highwayman_feedback", FUNCTION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_PAUSES_S", (0.0, 0.0, 0.0))
    return module.Event()


def rate(feedback_id: str, rating: int, message_id: str, **data: Any) -> None:
    Feedbacks.rows[feedback_id] = SimpleNamespace(
        type="rating",
        user_id="u-1",
        data={"rating": rating, "model_id": "auto", "tags": [], **data},
        meta={"message_id": message_id, "chat_id": "c-1", "message_index": 2},
        snapshot={"chat": {"title": "what nobody else need know"}},
    )


def event(name: str, feedback_id: str) -> dict[str, Any]:
    return {"event": name, "subject": {"type": "feedback", "id": feedback_id}, "data": {"rating": 1}}


async def test_our_function_makes_the_router_say_what_open_webui_says(router: Router, function: Any) -> None:
    function.valves.router_url = f"{router.url}/"
    async with router.http.post(CHAT, json=ask(), headers={"x-openwebui-message-id": "m-1"}) as response:
        decision_id = response.headers["x-highwayman-decision"]

    async def counting(feedback: int) -> list[tuple[float, float, str]]:
        statements = (await router.decision(decision_id, feedback=feedback))["feedback"]
        return [(said["value"], said["weight"], said.get("text", "")) for said in statements
                if said["standing"] == "counts"]  # fmt: skip

    rate("f-1", 1, "m-1")
    await function.event(event("feedback.created", "f-1"))
    assert await counting(1) == [(1.0, 1.0, "")]
    rate("f-1", -1, "m-1", reason="not_factually_correct", comment="It is the Seine.")
    await function.event(event("feedback.updated", "f-1"))
    assert await counting(2) == [(0.0, 1.0, "not_factually_correct — It is the Seine.")]
    del Feedbacks.rows["f-1"]
    await function.event(event("feedback.updated", "f-1"))  # which is heard late: the database has it deleted
    assert await counting(3) == []
    await function.event(event("feedback.deleted", "f-2"))  # of which nobody has heard


async def test_a_thumb_that_waits_for_its_answer_is_deleted_with_it(router: Router, function: Any) -> None:
    function.valves.router_url = router.url
    before = await waiting(router)
    rate("f-3", 1, "m-never")
    await function.event(event("feedback.created", "f-3"))
    Feedbacks.rows.clear()
    await function.event(event("feedback.deleted", "f-3"))
    after = await waiting(router)
    assert (after["held"] - before["held"], after["withdrawn"] - before["withdrawn"]) == (1, 1)


async def test_our_function_tries_again_while_the_router_is_away_and_then_says_what_holds(function: Any) -> None:
    async with ScriptedUpstream() as away:
        path = "/api/v1/evaluations/feedback/f-1"
        away.script(path, Fail(503), Fail(429), Say())
        function.valves.router_url = away.url
        function.valves.api_key = "of the router"
        function.valves.comments = False
        rate("f-1", 1, "m-1", comment="private")
        await function.event(event("feedback.created", "f-1"))
        assert [body["data"] for body in away.requests] == [{"rating": 1}] * 3
        assert away.requests[0]["meta"] == {"message_id": "m-1", "chat_id": "c-1"}
        assert {headers["authorization"] for headers in away.headers} == {"Bearer of the router"}
        await function.event({"event": "auth.login", "subject": {"type": "user", "id": "u-1"}})
        assert len(away.requests) == 3
