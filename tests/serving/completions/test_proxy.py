"""One decided request on its way to a real model server and back, with a real log; the client is a list of messages."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aioredis

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.tasks import BackgroundTasks, cancel_and_wait
from highwayman.env.types import Arm, Decision, Outcome, Profile, Status
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.client import Upstream, UpstreamTimeouts
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.store import Store, Written
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.log.writing.queued_write import resolve
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.serving.completions.calls.observers import CompletedCall, CompletionObservers
from highwayman.serving.completions.proxy import ProxiedCompletion, ProxyDependencies
from highwayman.serving.completions.requests.request import CompletionRequest, parse_chat
from highwayman.serving.completions.routing.route import Route
from highwayman.serving.metrics import Metrics
from tests.feedback.worlds import decision
from tests.serving.running_router import arm, ask
from tests.upstream_server import (
    ANY,
    Behaviour,
    BreakOff,
    Fail,
    Garbage,
    Hang,
    Say,
    ScriptedUpstream,
    Send,
    Stall,
    closed_url,
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

    def submit(self, event: Written) -> "asyncio.Future[EventId | None]":
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


@pytest.fixture
async def proxy(redis_client: aioredis.Redis, namespace: str, tmp_path: Path) -> AsyncIterator[Proxy]:
    store, told = Store(redis_client, namespace), list[Outcome]()
    journal = GatedJournal(
        store,
        claim_spools(tmp_path / "spools", limit_bytes=1 << 20),
        writer="me",
        clock=time.monotonic,
        patience_s=10.0,  # a machine that is busy is no Redis that is away
        on_delivery_outcome=lambda fate, kind: None,
    )
    listener, idle = Listener(wants=True), Listener(wants=False)
    observers = CompletionObservers([idle, listener])
    calls = Upstream(EndpointHealth(time.monotonic), time.monotonic, UpstreamTimeouts(first_byte_s=10.0))
    await calls.start()
    dependencies = ProxyDependencies(
        upstream=calls,
        journal=journal,
        metrics=Metrics(),
        background=BackgroundTasks(),
        clock=lambda: 1_700_000_009.0,
        timer=time.monotonic,
        on_outcome=told.append,
        observers=observers,
    )
    running = asyncio.create_task(journal.run())
    async with ScriptedUpstream() as server:
        yield Proxy(dependencies, journal, store, server, listener, idle, told)
        await dependencies.background.drain()
        await observers.close()
        await calls.close()
    await cancel_and_wait(running)
    await store.close()


async def test_a_whole_answer_says_whose_it_is_and_is_metered(proxy: Proxy) -> None:
    client = await proxy.run()
    answer = json.loads(client.body)
    assert (client.status, answer["model"], answer["choices"][0]["message"]["content"]) == (200, "a", "Paris.")
    assert proxy.upstream.requests[0]["model"] == "a-upstream"
    told = {"x-highwayman-decision": "hw-1", "x-highwayman-arm": "a", "x-highwayman-propensity": "1.0"}
    assert told.items() <= client.headers.items()
    assert client.headers["content-length"] == str(len(client.body))
    assert "x-highwayman-feedback-url" not in client.headers
    outcome = await proxy.outcome()
    assert (outcome.arm, outcome.status, outcome.attempts, outcome.at) == ("a", Status.OK, 1, 1_700_000_009.0)
    assert (outcome.prompt_tokens, outcome.tokens_in, outcome.tokens_out) == (12, 9, 2)
    assert (outcome.cost_usd, outcome.finish_reason) == (pytest.approx(11e-6), "stop")
    assert outcome.ttft_s is not None
    assert 0 < outcome.ttft_s <= outcome.latency_s


async def test_a_stream_passes_through_as_it_comes_and_is_metered(proxy: Proxy) -> None:
    client = Client()
    say = Say("One two three.", tokens_in=9, tokens_out=4, hold=asyncio.Event())
    running = asyncio.create_task(proxy.run(say, client=client, stream=True))
    async with asyncio.timeout(10):
        await client.got_body.wait()
    assert b"One" in client.body
    assert b"two" not in client.body
    say.hold.set()  # type: ignore[union-attr]
    await running
    assert client.body.endswith(b"data: [DONE]\n\n")
    assert b'"usage"' not in client.body  # nobody asked for it
    assert (client.headers["cache-control"], client.headers["x-accel-buffering"]) == ("no-cache", "no")
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.tokens_out) == (Status.OK, 9, 4)


async def test_a_stream_whose_server_counts_no_tokens_is_metered_by_its_text(proxy: Proxy) -> None:
    await proxy.run(Say("One two three.", usage=False), stream=True)
    outcome = await proxy.outcome()
    assert (outcome.tokens_in, outcome.tokens_out, outcome.estimated) == (12, 4, True)


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def whole(text: str, *, n: int = 1, **more: Any) -> Send:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    answer = {"id": "gen-7", "choices": [{"index": place, **choice} for place in range(n)], **more}
    return Send((json.dumps(answer).encode(),), content_type="application/json")


async def test_several_tokens_a_chunk_are_counted_from_the_text(proxy: Proxy) -> None:
    await proxy.run(Send((event("one two three four " * 100), STOP, b"data: [DONE]\n\n")), stream=True)
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.estimated) == (Status.OK, True)
    assert 350 < outcome.tokens_out < 600


async def test_every_choice_of_an_answer_without_usage_is_counted(proxy: Proxy) -> None:
    await proxy.run(whole("a long answer " * 200, n=3), n=3)
    assert (await proxy.outcome()).tokens_out > 3 * 400


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": -1, "completion_tokens": -5},
        {"prompt_tokens": 2**70, "completion_tokens": 2**70},
        {"prompt_tokens": 1e300, "completion_tokens": 1.5},
        {"prompt_tokens": "9", "completion_tokens": "9"},
        {"prompt_tokens": True, "completion_tokens": True},
        {"prompt_tokens": 0, "completion_tokens": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_usage_that_cannot_be_is_no_usage(proxy: Proxy, usage: Any, stream: bool) -> None:
    last = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    streamed = Send((event("a long answer " * 200), STOP, last, b"data: [DONE]\n\n"))
    client = await proxy.run(streamed if stream else whole("a long answer " * 200, usage=usage), stream=stream)
    assert client.status == 200
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.estimated) == (Status.OK, 12, True)
    assert 400 < outcome.tokens_out < 1000
    assert outcome.cost_usd == pytest.approx((outcome.tokens_in + outcome.tokens_out) * 1e-6)


async def test_what_is_missing_of_a_usage_is_estimated_and_the_rest_is_believed(proxy: Proxy) -> None:
    await proxy.run(whole("four words are here", usage={"prompt_tokens": 77}))
    outcome = await proxy.outcome()
    assert (outcome.tokens_in, outcome.estimated) == (77, True)
    assert outcome.tokens_out >= 4


async def test_cached_tokens_have_their_price_and_reasoning_is_counted_once(proxy: Proxy) -> None:
    usage = {
        "prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300,
        "prompt_tokens_details": {"cached_tokens": 800}, "completion_tokens_details": {"reasoning_tokens": 200},
    }  # fmt: skip
    cheap = replace(arm("a", proxy.upstream.url, price=PRICE), usd_per_mtok_cached_in=0.1 * PRICE)
    await proxy.run(whole("hm", usage=usage), arms=[cheap])
    outcome = await proxy.outcome()
    assert (outcome.tokens_in, outcome.tokens_cached, outcome.tokens_out) == (1000, 800, 300)
    assert (outcome.cost_usd, outcome.estimated) == (pytest.approx((200 + 80 + 300) * 1e-6), False)


async def test_samples_that_report_no_usage_are_paid_too(proxy: Proxy) -> None:
    voting = replace(arm("a", proxy.upstream.url, price=PRICE), profile=Profile(best_of=3))
    await proxy.run(Say("4", tokens_in=9, tokens_out=2), Say("4", usage=False), arms=[voting])
    outcome = await proxy.outcome()
    assert (outcome.tokens_in, outcome.tokens_out, outcome.estimated) == (9 + 2 * 12, 2 + 2 * 1, True)


async def test_an_answer_of_any_id_names_its_decision(proxy: Proxy) -> None:
    assert json.loads((await proxy.run(whole("hi"))).body)["id"] == "chatcmpl-hw-1"


async def test_the_decision_is_on_the_log_before_the_first_byte(proxy: Proxy) -> None:
    on_log: list[bool] = []

    async def look(message: MutableMapping[str, Any]) -> None:
        log_was_ready = proxy.journal.gate.is_set()
        on_log.append(log_was_ready and "hw-1" in await proxy.store.records(["hw-1"]))

    proxy.journal.gate.clear()
    client = Client(on_send=look)
    running = asyncio.create_task(proxy.run(client=client, stream=True))
    async with asyncio.timeout(10):
        await proxy.listener.opened.wait()  # the arm has begun to answer, and the log is not ready
    proxy.journal.gate.set()
    await running
    assert on_log
    assert all(on_log)


async def test_a_refused_body_reaches_the_caller_as_it_is(proxy: Proxy) -> None:
    refusal = b'{"error": {"message": "maximum context length is 12", "code": 7}, "model": "theirs"}'
    client = await proxy.run(Fail(400, body=refusal))
    assert (client.status, client.body) == (400, refusal)
    assert client.headers["x-highwayman-decision"] == "hw-1"
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.tokens_out) == (Status.REFUSED, 0, 0)
    assert outcome.cost_usd == 0.0


async def test_a_stream_that_is_refused_is_refused_whole(proxy: Proxy) -> None:
    client = await proxy.run(Fail(422, "no"), stream=True)
    assert (client.status, client.error["message"]) == (422, "no")
    assert (await proxy.outcome()).status is Status.REFUSED


async def test_a_stream_that_breaks_off_ends_with_an_error_and_has_failed(proxy: Proxy) -> None:
    client = await proxy.run(BreakOff(Say("One two three four."), events=3), stream=True)
    assert client.status == 200
    assert b'"two "' in client.body
    assert client.error["code"] == "upstream_failed"
    assert "arm 'a' broke off its answer: the connection broke" in client.error["message"]
    assert not client.messages[-1].get("more_body")
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.tokens_out) == (Status.FAILED, 12, 2)
    assert outcome.cost_usd == pytest.approx(14e-6)  # what was read and written
    assert [(attempt.arm, attempt.ending) for attempt in outcome.tried] == [("a", Ending.BROKE_OFF)]
    assert outcome.failed_arms == ("a",)


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ((), "it ended without a finish reason"),
        (
            (b'data: {"error":{"message":"Incorrect API key provided: sk-1","code":401}}\n\n', b"data: [DONE]\n\n"),
            "answered with an error",
        ),
        (
            (b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}\n\n', b"data: [DONE]\n\n"),
            "answered with an error",
        ),
        ((b'data: {"choices":[{"index":0,"delta":{"content":"ha',), "it ended without a finish reason"),
        (
            (b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * (9 << 20),),
            "sent a line of more than 8 MiB",
        ),
    ],
    ids=["no end", "an error event", "an error for a reason", "half an event", "a line without end"],
)
async def test_an_answer_that_fails_once_begun_ends_with_an_error_event_and_no_done(
    proxy: Proxy, rest: tuple[bytes, ...], why: str
) -> None:
    client = await proxy.run(Send((event("two words "), *rest)), stream=True)
    assert b"two words" in client.body
    assert client.error["code"] == "upstream_failed"
    assert client.error["message"].endswith(f"broke off its answer: {why}")
    assert not any(word in client.body for word in (b"[DONE]", b"sk-1"))
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.estimated) == (Status.FAILED, 12, True)
    assert outcome.tokens_out >= 2
    assert outcome.tried[-1].ending == Ending.BROKE_OFF


@pytest.mark.parametrize("end", [STOP, b"data: [DONE]\n\n"])
async def test_a_finish_reason_or_done_is_an_end(proxy: Proxy, end: bytes) -> None:
    await proxy.run(Send((event("all there"), end)), stream=True)
    assert (await proxy.outcome()).status is Status.OK


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403, 404, 429, 500])
async def test_what_a_server_says_of_its_failure_reaches_no_client_and_costs_nothing(
    proxy: Proxy, status: int, stream: bool
) -> None:
    client = await proxy.run(Fail(status, "Incorrect API key provided: sk-secret"), stream=stream)
    assert b"sk-secret" not in client.body
    assert client.error["code"] == "upstream_failed"
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.cost_usd) == (Status.FAILED, 0, 0.0)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_asked_for_reaches_the_client_when_all_are_out(proxy: Proxy, status: int) -> None:
    client = await proxy.run(Fail(status, retry_after="17"))
    assert (client.status, client.headers["retry-after"]) == (status, "17")


async def test_an_attempt_that_failed_is_counted_under_its_arm(proxy: Proxy) -> None:
    proxy.upstream.script("b-upstream", Say("Paris."))
    proxy.upstream.script("a-upstream", Fail(503))
    client = await proxy.run(arms=[arm("a", proxy.upstream.url), arm("b", proxy.upstream.url)])
    assert client.headers["x-highwayman-arm"] == "b"
    outcome = await proxy.outcome()
    assert (outcome.arm, outcome.status, outcome.attempts, outcome.failed_arms) == ("b", Status.OK, 2, ("a",))
    assert [(attempt.arm, attempt.why) for attempt in outcome.tried] == [("a", "answered 503"), ("b", "")]
    told = proxy.dependencies.metrics.exposition()
    assert b'highwayman_attempts_total{arm="a",ending="arms_fault"} 1.0' in told
    assert b'highwayman_attempts_total{arm="b",ending="answered"} 1.0' in told


async def test_a_whole_answer_that_breaks_off_or_is_no_json_is_a_502(proxy: Proxy) -> None:
    client = await proxy.run(BreakOff())
    assert (client.status, client.error["code"]) == (502, "upstream_failed")
    assert (await proxy.outcome()).status is Status.FAILED
    proxy.told.clear()
    assert (await proxy.run(Garbage())).status == 502


async def test_a_server_that_says_nothing_in_time_is_a_504(proxy: Proxy) -> None:
    impatient = Upstream(EndpointHealth(time.monotonic), time.monotonic, UpstreamTimeouts(first_byte_s=0.2))
    await impatient.start()
    client = await replace(proxy, dependencies=replace(proxy.dependencies, upstream=impatient)).run(Hang())
    await impatient.close()
    assert (client.status, client.error["code"]) == (504, "upstream_failed")
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.ttft_s, outcome.tokens_in) == (Status.TIMEOUT, None, 0)
    assert outcome.latency_s >= 0.2
    assert b'highwayman_refused_total{code="upstream_failed"} 1.0' in proxy.dependencies.metrics.exposition()


async def test_every_attempt_is_counted_where_nobody_answers(proxy: Proxy) -> None:
    arms = [arm("a", closed_url(), closed_url()), arm("b", closed_url())]
    client = await proxy.run(arms=arms)
    assert (client.status, client.headers["x-highwayman-arm"]) == (502, "a")
    outcome = await proxy.outcome()
    assert (outcome.arm, outcome.status, outcome.attempts) == ("a", Status.FAILED, 3)


async def test_the_arm_that_served_is_named_charged_and_told_apart_from_the_one_intended(proxy: Proxy) -> None:
    arms = [arm("a", closed_url(), price=PRICE), arm("b", proxy.upstream.url, price=100 * PRICE)]
    client = await proxy.run(arms=arms)
    assert (client.headers["x-highwayman-arm"], json.loads(client.body)["model"]) == ("b", "b")
    outcome = await proxy.outcome()
    assert (outcome.arm, outcome.attempts, outcome.cost_usd) == ("b", 2, pytest.approx(1100e-6))
    assert b'highwayman_failovers_total{arm="a"} 1.0' in proxy.dependencies.metrics.exposition()


async def test_the_outcome_is_on_the_log_even_if_the_client_goes(proxy: Proxy) -> None:
    client = Client()
    running = asyncio.create_task(proxy.run(Stall(Say("One two three."), events=3), client=client, stream=True))
    async with asyncio.timeout(10):
        await client.got_body.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in) == (Status.CLIENT_GONE, 12)
    assert outcome.tokens_out > 0
    await proxy.upstream.left()  # and its server need not go on


async def test_a_client_that_goes_before_anybody_answers_leaves_an_outcome_without_tokens(proxy: Proxy) -> None:
    running = asyncio.create_task(proxy.run(Say(before=asyncio.Event())))
    await proxy.upstream.asked()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.tokens_out) == (Status.CLIENT_GONE, 0, 0)


async def test_what_a_call_cost_is_told_at_once_and_its_client_waits_for_no_log(proxy: Proxy) -> None:
    proxy.journal.gated = Outcome
    proxy.journal.gate.clear()
    await proxy.run()
    assert [outcome.status for outcome in proxy.told] == [Status.OK]
    assert (await proxy.store.records(["hw-1"]))["hw-1"].outcome is None
    proxy.journal.gate.set()
    assert (await proxy.outcome()).status is Status.OK


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_said_is_written_down_for_those_who_want_it_and_everybody_hears_the_outcome(
    stream: bool, proxy: Proxy
) -> None:
    await proxy.run(Say("One two three."), stream=stream)
    async with asyncio.timeout(10):
        completed, unwanted = await proxy.listener.heard.get(), await proxy.idle.heard.get()
    assert completed.transcript is not None
    assert completed.transcript.text == "One two three."
    assert completed.is_wanted_by(proxy.listener)
    assert not unwanted.is_wanted_by(proxy.idle)
    assert completed.outcome == unwanted.outcome == await proxy.outcome()


async def test_an_answer_carries_the_address_for_a_vote_where_there_is_one(proxy: Proxy) -> None:
    voting = replace(proxy.dependencies, vote_link=lambda made: f"http://router.example/{made.id}")
    client = await replace(proxy, dependencies=voting).run()
    assert client.headers["x-highwayman-feedback-url"] == "http://router.example/hw-1"


async def test_an_attempt_that_streamed_lasted_until_its_end_and_not_until_its_first_word(proxy: Proxy) -> None:
    go, client = asyncio.Event(), Client()
    call = proxy.call(Send((event("first "), event("last"), STOP), pause=go), stream=True)
    running = asyncio.create_task(call.run(client))
    async with asyncio.timeout(10):
        await client.got_body.wait()
        await asyncio.sleep(0.1)
        go.set()
        await running
    outcome = await proxy.outcome()
    assert outcome.ttft_s is not None
    assert outcome.tried[-1].seconds >= outcome.ttft_s + 0.1
    assert outcome.tried[-1].seconds <= outcome.latency_s
