"""One decided request on its way to a real model server and back, with a real log; the client is a list of messages."""

import asyncio
import json
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.types import Outcome, Status
from tests.serving.completions.proxied import PRICE, STOP, Client, Proxy, event, whole
from tests.serving.running_router import arm
from tests.upstream_server import (
    Fail,
    Say,
    Send,
    Stall,
    closed_url,
)


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


async def test_an_answer_of_any_id_names_its_decision(proxy: Proxy) -> None:
    assert json.loads((await proxy.run(whole("hi"))).body)["id"] == "chatcmpl-hw-1"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_its_server_names_in_no_way_names_its_decision_and_its_arm(
    proxy: Proxy, stream: bool
) -> None:
    nameless = Send((b'{"model": null, "choices": [{"message": {"content": "hi"}}]}',), content_type="application/json")
    client = await proxy.run(Send((event("hi"), event("ho"), STOP)) if stream else nameless, stream=stream)
    lines = [line.removeprefix("data: ") for line in client.body.decode().split("\n\n") if line]
    assert len(lines) == (3 if stream else 1)
    for told in map(json.loads, lines):
        assert (told.pop("id"), told.pop("model"), list(told)) == ("chatcmpl-hw-1", "a", ["choices"])


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


async def test_a_stream_is_over_with_its_last_event_whoever_holds_the_connection(proxy: Proxy) -> None:
    client = Client()
    began = time.monotonic()
    running = asyncio.create_task(proxy.run(Stall(Say("Paris."), events=100), client=client, stream=True))
    async with asyncio.timeout(10):
        while b"[DONE]" not in client.body:
            await asyncio.sleep(0.01)
    seen_s = time.monotonic() - began
    await asyncio.sleep(seen_s)  # the server lingers as long again
    running.cancel()  # as clients close at [DONE]
    with suppress(asyncio.CancelledError):
        await running
    outcome = await proxy.outcome()
    assert (outcome.status, [tried.ending for tried in outcome.tried]) == (Status.OK, ["answered"])
    assert max(outcome.latency_s, outcome.tried[0].seconds) < seen_s


async def test_a_client_that_goes_at_the_finish_reason_has_its_answer(proxy: Proxy) -> None:
    client = Client()
    running = asyncio.create_task(proxy.run(Stall(Say("Paris."), events=3), client=client, stream=True))
    async with asyncio.timeout(10):
        while b'"stop"' not in client.body:
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    outcome = await proxy.outcome()
    assert (outcome.status, [tried.ending for tried in outcome.tried]) == (Status.OK, ["answered"])


async def test_a_client_that_goes_before_anybody_answers_leaves_an_outcome_without_tokens(proxy: Proxy) -> None:
    running = asyncio.create_task(proxy.run(Say(before=asyncio.Event())))
    await proxy.upstream.asked()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.tokens_out) == (Status.CLIENT_GONE, 0, 0)
    assert (outcome.cost_usd, outcome.estimated) == (pytest.approx(12e-6), True)  # its prompt, which providers bill


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
