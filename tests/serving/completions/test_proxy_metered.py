"""What an answer took, by what its server says or by its text."""

import json
from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.types import Profile, Status
from tests.serving.completions.proxied import PRICE, STOP, Proxy, event, whole
from tests.serving.running_router import arm
from tests.upstream_server import (
    Say,
    Send,
)


async def test_a_stream_whose_server_counts_no_tokens_is_metered_by_its_text(proxy: Proxy) -> None:
    await proxy.run(Say("One two three.", usage=False), stream=True)
    outcome = await proxy.outcome()
    assert (outcome.tokens_in, outcome.tokens_out, outcome.estimated) == (12, 4, True)


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


@pytest.mark.parametrize("ends", [True, False])
async def test_words_behind_a_streams_report_are_counted_from_the_text(proxy: Proxy, ends: bool) -> None:
    begun = b'data: {"choices": [], "usage": {"prompt_tokens": 77, "completion_tokens": 1}}\n\n'
    await proxy.run(Send((begun, *[event("four words are here ")] * 50, *([STOP] if ends else []))), stream=True)
    outcome = await proxy.outcome()
    assert (outcome.status, outcome.tokens_in, outcome.estimated) == (Status.OK if ends else Status.FAILED, 77, True)
    assert outcome.tokens_out > 150


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
