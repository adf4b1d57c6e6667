"""An audit: words that give away where they were, of every class, in every place, and every byte written and sent."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from highwayman.env.types import Arm
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.export import export
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys, Store
from highwayman.feedback.log.upkeep.retention import Retention
from tests.ports import free_port
from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import Body, Fail, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
CLASSES = ("public", "internal", "personal", "secret")
ZONES = {"far": CLASSES[:1], "eu": CLASSES[:2], "home": CLASSES[:3], "vault": CLASSES}
RULES = {
    "classes": {"internal": ["eu", "home", "vault"], "personal": ["home", "vault"], "secret": ["vault"]},
    "stored": "internal",
}
PLACES = ("system", "user", "arguments", "result", "schema", "format", "metadata", "person")
CONFIG = {
    "privacy": RULES,
    "retention": {"prompts": True},
    "answer_cache": {"similarity": 0.9},
    "shadow": {"rate": 1.0, "usd_per_day": None, "judged": "score"},
    "feedback": {"judge": {"arms": ["far-b", "home-b", "vault-b"], "rate": 1.0}, "implicit": ["rephrased"]},
    "cascade": {
        "gate": {"signal": "verified", "threshold": 0.5},
        "signals": [{"Verification": {"arm": "far-b"}}],
        "max_stages": 3,
    },
    "control": {"share": 0.3, "baseline": "far-a"},
    "policy": {"floor": 0.3},
}


def canary(data_class: str, place: str) -> str:
    """A word that is of its class, and stands in one place of one request; `internal` is what its caller says."""
    name = f"{data_class}{place}"
    return {"personal": f"{name}@canary.example", "secret": f"sk-proj-{name}0123456789"}.get(data_class, f"cnry{name}")


ANSWERED = {zone: f"sk-proj-answerof{zone}0123456789" for zone in ZONES}  # what an arm tells, though nobody asked


@dataclass(frozen=True, slots=True)
class Moody(Say):
    """Answers; or fails, if it is asked to, and says in its error all that it was asked."""

    fails: bool = False

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        if self.fails and "tumble" in json.dumps(body):
            return await Fail(500, message=json.dumps(body)).serve(request, body)
        return await Say.serve(self, request, body)


def body_with(word: str, place: str, data_class: str, *, stream: bool, tumble: bool) -> Body:
    """A request in which the word stands in that place alone."""
    said = dict.fromkeys(PLACES, "nothing") | {place: word}
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps({"a": said["arguments"]})},
    }
    schema = {"type": "object", "properties": {"p": {"type": "string", "description": said["schema"]}}}
    loop = place in ("arguments", "result")
    messages: list[Body] = [
        {"role": "system", "content": said["system"]},
        {"role": "user", "content": [{"type": "text", "text": f"{said['user']} {'tumble' if tumble else place}"}]},
        *([{"role": "assistant", "content": None, "tool_calls": [call]}] if loop else []),
        *([{"role": "tool", "tool_call_id": "c1", "content": said["result"]}] if loop else []),
    ]
    body: Body = {"model": "auto", "messages": messages, "stream": stream, "user": said["person"]}
    body["metadata"] = {"note": said["metadata"], "reference": "none", "data_class": data_class}
    if data_class in ("personal", "secret"):
        del body["metadata"]["data_class"]  # a detector has to tell
    if loop or place == "schema":
        body["tools"] = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    if place == "format":
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"title": word}}}
    return body


@dataclass(slots=True)
class Evidence:
    """Every byte that was sent to somebody, or written somewhere."""

    sent: dict[str, str] = field(default_factory=dict)  # by zone
    written: dict[str, str] = field(default_factory=dict)  # by place
    answered: list[tuple[str, str, int]] = field(default_factory=list)


def pool(servers: dict[str, ScriptedUpstream]) -> list[Arm]:
    arms = []
    for price, (zone, server) in enumerate(servers.items(), start=1):
        for name, fails in (("a", True), ("b", False)):
            server.script(f"{zone}-{name}-upstream", Moody(f"I know {ANSWERED[zone]}.", fails=fails))
            arms.append(replace(arm(f"{zone}-{name}", server.url, price=float(price)), zone=zone, tools=True))
    return arms


async def asked(router: Router, evidence: Evidence) -> None:
    number = 0
    for data_class in CLASSES:
        for place in PLACES:
            body = body_with(
                canary(data_class, place), place, data_class, stream=number % 3 == 1, tumble=number % 2 == 1
            )
            async with router.http.post(CHAT, json=body) as response:
                await response.read()
                evidence.answered.append((data_class, place, response.status))
                decision_id = response.headers.get("x-highwayman-decision")
            number += 1
            _, view = await router.get(f"/v1/decisions/{decision_id}")
            evidence.written["decisions"] = evidence.written.get("decisions", "") + json.dumps(view)


async def quiet(servers: dict[str, ScriptedUpstream]) -> None:
    """Return once nobody has been asked anything for a while: judges and shadows are done."""
    count = -1
    while count != (count := sum(len(server.requests) for server in servers.values())):
        await asyncio.sleep(0.25)


async def everything_in_redis(url: str, namespace: str) -> str:
    client: Any = connect(url)
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    try:
        keys = [key async for key in client.scan_iter(f"*{namespace}*", count=1000)]
        assert Keys(namespace)("log").encode() in keys
        return "\n".join([repr((key, await read[await client.type(key)](key))) for key in keys])
    finally:
        await client.aclose()


async def archived(url: str, namespace: str, folder: Path) -> str:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq  # noqa: PLC0415

    client = connect(url)
    try:
        retention = Retention(client, namespace, window_s=60)
        await export(retention, Archive(folder), store=Store(client, namespace), namespace=namespace, upto_age_s=0.0)
    finally:
        await client.aclose()
    files = sorted(folder.rglob("*.parquet"))
    assert files
    return "\n".join(repr(pq.read_table(file).to_pylist()) for file in files) + files_in(folder)


def files_in(folder: Path) -> str:
    return "\n".join(file.read_bytes().decode("latin-1") for file in folder.rglob("*") if file.is_file())


class Lines(logging.Handler):
    """Keeps all that anybody logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + repr(record.args) + "\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evidence(
    valkey_url: str, module_namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Evidence]:
    """What a router that does all that it can do has sent and written."""
    namespace, tmp_path, lines, root = module_namespace, tmp_path_factory.mktemp("audit"), Lines(), logging.getLogger()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    collected = Evidence()
    async with AsyncExitStack() as stack:
        servers = {zone: await stack.enter_async_context(ScriptedUpstream()) for zone in ZONES}
        arms, state = pool(servers), tmp_path / "state"
        async with running_router(arms, valkey_url, namespace, config=CONFIG, state=state) as router:
            await asked(router, collected)
            await quiet(servers)
            async with router.http.get("/metrics") as response:
                collected.written["metrics"] = await response.text()
        collected.written["redis"] = await everything_in_redis(valkey_url, namespace)
        collected.written["archive"] = await archived(valkey_url, namespace, tmp_path / "archive")
        nowhere, spools = f"redis://127.0.0.1:{free_port()}/0", tmp_path / "spools"
        async with running_router(arms, nowhere, namespace, config=CONFIG, state=spools) as router:
            await asked(router, collected)
            await quiet(servers)
            collected.written["spool"] = files_in(spools)
        collected.written["state"] = files_in(state) + files_in(spools)
        collected.written["logs"] = lines.text
        for zone, server in servers.items():
            collected.sent[zone] = json.dumps([server.requests, server.headers, server.paths, server.polled])
    root.removeHandler(lines)
    root.setLevel(level)
    assert "highwayman" in collected.written["logs"]
    yield collected


async def test_every_word_is_where_its_class_may_be_and_nowhere_else(evidence: Evidence) -> None:
    assert {status for _, _, status in evidence.answered} == {200}, evidence.answered
    words = {(data_class, place): canary(data_class, place) for data_class in CLASSES for place in PLACES}
    for (data_class, place), word in words.items():
        seen_by = {zone for zone, sent in evidence.sent.items() if word in sent}
        allowed = {zone for zone, classes in ZONES.items() if data_class in classes}
        assert seen_by, (data_class, place)
        assert seen_by <= allowed, (data_class, place)
        kept_in = {where for where, text in evidence.written.items() if word in text}
        if data_class in ("personal", "secret"):
            assert kept_in == set(), (data_class, place)
        else:  # so that somebody looks at all where something is kept
            assert kept_in <= {"redis", "archive", "spool", "state"}, (data_class, place)
    for data_class in ("public", "internal"):
        kept_in = {where for where, text in evidence.written.items() if words[data_class, "user"] in text}
        assert kept_in == {"redis", "archive", "spool", "state"}


async def test_what_an_answer_tells_goes_to_no_judge_nor_store_that_may_not_have_it(evidence: Evidence) -> None:
    for zone, word in ANSWERED.items():
        told = {other for other, sent in evidence.sent.items() if word in sent}
        assert told <= {"vault"}, zone
        assert not [where for where, text in evidence.written.items() if word in text], zone
    assert any(word in evidence.sent["vault"] for word in ANSWERED.values())  # a judge there has read some
