"""What a client gets, and the log, where an arm fails before or after its answer has begun."""

import asyncio
import time
from dataclasses import replace

import pytest

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Status
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.client import Upstream, UpstreamTimeouts
from highwayman.serving.completions.calls import rest_limit
from tests.serving.completions.proxied import STOP, Proxy, event
from tests.serving.running_router import arm
from tests.upstream_server import (
    BreakOff,
    Fail,
    Garbage,
    Hang,
    Say,
    Send,
    closed_url,
)


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
        ((b'data: {"detail":"trouble"}\n\n', b"data: [DONE]\n\n"), "answered with an error"),
        ((b'data: {"choices":[{"index":0,"delta":{"content":"ha',), "it ended without a finish reason"),
        (
            (b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * (9 << 20),),
            "sent a line of more than 8 MiB",
        ),
    ],
    ids=["no end", "an error event", "an error for a reason", "a detail", "half an event", "a line without end"],
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
    assert (outcome.cost_usd, outcome.estimated) == (pytest.approx(12e-6), True)  # its prompt, which providers bill
    assert outcome.latency_s >= 0.2
    assert b'highwayman_refused_total{code="upstream_failed"} 1.0' in proxy.dependencies.metrics.exposition()


async def test_every_attempt_is_counted_where_nobody_answers(proxy: Proxy) -> None:
    arms = [arm("a", closed_url(), closed_url()), arm("b", closed_url())]
    client = await proxy.run(arms=arms)
    assert (client.status, client.headers["x-highwayman-arm"]) == (502, "a")
    outcome = await proxy.outcome()
    assert (outcome.arm, outcome.status, outcome.attempts) == ("a", Status.FAILED, 3)


async def test_an_error_of_the_request_in_the_middle_of_a_stream_is_told_and_is_not_its_arms(proxy: Proxy) -> None:
    error = b'data: {"error":{"message":"no such image","code":400}}\n\n'
    client = await proxy.run(Send((event("hi"), error, b"data: [DONE]\n\n")), stream=True)
    assert client.error["message"] == "no such image"
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tried[0].ending, outcome.failed_arms) == (Status.REFUSED, Ending.CALLERS_FAULT, ())
    health = proxy.dependencies.upstream._health
    assert health.may_ask(proxy.upstream.url, "a-upstream")


@pytest.mark.parametrize("rest", [b"data: [DONE]\n\n", b""])
async def test_an_answer_ends_where_it_says_so_though_its_server_leaves_the_connection_open(
    proxy: Proxy, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_limit, "_AFTER_FINISH_S", 0.05)
    monkeypatch.setattr(rest_limit, "_AFTER_DONE_S", 0.05)
    client = await proxy.run(Send((event("hi") + STOP + rest, b""), pause=asyncio.Event()), stream=True)
    assert client.body.endswith(b"data: [DONE]\n\n")
    assert not client.messages[-1].get("more_body")
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tried[0].ending) == (Status.OK, Ending.ANSWERED)


async def test_an_answer_whose_connection_breaks_behind_its_finish_reason_ends_as_others_do(proxy: Proxy) -> None:
    client = await proxy.run(Send((event("hi") + STOP,), cut=True), stream=True)
    assert client.body.endswith(b"data: [DONE]\n\n")
    assert (await proxy.outcome()).status is Status.OK
