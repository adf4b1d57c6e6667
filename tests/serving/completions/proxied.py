"""What one decided request stands on: a real model server, a real log; the client is a list of messages."""

import asyncio
import json
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from highwayman.env.types import Arm, Decision, Outcome
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.store import Store, Written
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.log.writing.queued_write import resolve
from highwayman.serving.completions.calls.observers import CompletedCall
from highwayman.serving.completions.calls.proxy_dependencies import ProxyDependencies
from highwayman.serving.completions.proxy import ProxiedCompletion
from highwayman.serving.completions.requests.request import CompletionRequest, parse_chat
from highwayman.serving.completions.routing.route import Route
from tests.feedback.worlds import decision
from tests.serving.running_router import arm, ask
from tests.upstream_server import (
    ANY,
    Behaviour,
    Say,
    ScriptedUpstream,
    Send,
)

PATH = "/v1/chat/completions"


PRICE = 1.0  # dollars per million tokens, either way


class GatedJournal(Journal):
    """Takes events of one kind only once the gate is open: a Redis that is slow."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.gate = asyncio.Event()
        self.gate.set()
        self.gated: type = Decision

    def submit(self, event: Written, *, may_wait: bool = False) -> "asyncio.Future[EventId | None]":
        if self.gate.is_set() or not isinstance(event, self.gated):
            return super().submit(event)
        later: asyncio.Future[EventId | None] = asyncio.get_running_loop().create_future()
        self._opening = asyncio.create_task(self._submit_at_opening(event, later))
        return later

    async def _submit_at_opening(self, event: Written, later: "asyncio.Future[EventId | None]") -> None:
        await self.gate.wait()
        resolve(later, await super().submit(event))


class Listener:
    """Hears every call that ended, and may want what was said."""

    def __init__(self, *, wants: bool) -> None:
        self._wants = wants
        self.opened = asyncio.Event()  # an arm has begun to answer
        self.heard: asyncio.Queue[CompletedCall] = asyncio.Queue()

    def wants_transcript(self, request: CompletionRequest, decision: Decision, arm: Arm) -> bool:
        self.opened.set()
        return self._wants

    async def on_completion(self, completed: CompletedCall) -> None:
        self.heard.put_nowait(completed)


@dataclass(slots=True)
class Client:
    """What was sent to it; `on_send` is awaited before each message."""

    messages: list[MutableMapping[str, Any]] = field(default_factory=list)
    on_send: Callable[[MutableMapping[str, Any]], Any] | None = None
    got_body: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if self.on_send is not None:
            await self.on_send(message)
        self.messages.append(message)
        if message["type"] == "http.response.body":
            self.got_body.set()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def error(self) -> Any:
        """The error object of the last event of a stream, or of the whole body."""
        return json.loads(self.body.strip().rpartition(b"data: ")[2])["error"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """What calls stand on, and what came of them."""

    dependencies: ProxyDependencies
    journal: GatedJournal
    store: Store
    upstream: ScriptedUpstream
    listener: Listener  # wants what was said
    idle: Listener  # does not
    told: list[Outcome]  # at once, of every call that ended

    async def run(
        self, *behaviours: Behaviour, arms: Sequence[Arm] = (), client: Client | None = None, **body: Any
    ) -> Client:
        """Make one call to its end; the answers of the server are scripted."""
        client = client or Client()
        await self.call(*behaviours, arms=arms, **body).run(client)
        return client

    def call(self, *behaviours: Behaviour, arms: Sequence[Arm] = (), **body: Any) -> ProxiedCompletion:
        self.upstream.script(ANY, *(behaviours or (Say("Paris.", tokens_in=9, tokens_out=2),)))
        tried = tuple(arms) or (arm("a", self.upstream.url, price=PRICE),)
        names = tuple(one.name for one in tried)
        decided = decision("hw-1", arm=names[0], arms=names)
        request = parse_chat(json.dumps(ask(**body)).encode())
        return ProxiedCompletion(self.dependencies, request, Route(decided, tried), path=PATH)

    async def outcome(self) -> Outcome:
        """The outcome on the log, which must be the one that was told."""
        await self.dependencies.background.drain()
        record = (await self.store.records(["hw-1"]))["hw-1"]
        assert record.outcome is not None
        assert self.told == [record.outcome]
        return record.outcome


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def whole(text: str, *, n: int = 1, **more: Any) -> Send:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    answer = {"id": "gen-7", "choices": [{"index": place, **choice} for place in range(n)], **more}
    return Send((json.dumps(answer).encode(),), content_type="application/json")
