"""The judge against a real HTTP server that answers as it is told."""

import asyncio
import logging
from dataclasses import replace

import pytest

from highwayman.env.types import Profile
from highwayman.env.upstream.client import Upstream
from highwayman.feedback.judge.types import JudgeVerdict, NoVerdict
from tests.feedback.judge.askers import Answered, Picky, judge
from tests.feedback.judge.cases import arm, case, completion
from tests.upstream_server import (
    ANY,
    Behaviour,
    BreakOff,
    Fail,
    Garbage,
    Hang,
    HangUp,
    Say,
    ScriptedUpstream,
    closed_url,
)


async def test_a_verdict_says_who_judged_and_what_it_cost(server: ScriptedUpstream, upstream: Upstream) -> None:
    usage = {"prompt_tokens": 200, "completion_tokens": 1}
    server.script(ANY, Answered({**completion("4", {"4": 0.5, "5": 0.5}), "usage": usage}))
    made = judge(upstream, arm("large", server.url))
    found = await made.score(case())
    assert isinstance(found, JudgeVerdict)
    assert (found.quality, found.how, found.arm) == (pytest.approx(3.5 / 4), "logprobs", "large")
    assert found.cost_usd == pytest.approx(201e-6) == made.budget.spent_usd
    assert found.latency_s > 0.0
    assert made.counts == {"verdict": 1}
    assert server.requests[0]["model"] == "org/large"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Say("I would rather not say."), "junk"),
        (Garbage(), "failed"),
        (Answered(completion("4", refusal="no")), "refused"),
        (Say("4", finish_reason="content_filter"), "refused"),
        (Fail(400, body=b'{"error": {"code": "content_filter"}}'), "refused"),
        (Fail(400), "failed"),
        (Fail(403), "failed"),
        (Fail(500), "failed"),
        (Fail(429), "failed"),
        (HangUp(), "failed"),
        (BreakOff(Say("4")), "failed"),
        (Hang(), "timeout"),
        (Hang(head=True), "timeout"),
        (Say("4", hold=asyncio.Event()), "timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_whatever_is_no_verdict_is_missing_with_its_reason(
    behaviour: Behaviour, reason: str, server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(ANY, behaviour)
    made = judge(upstream, arm("large", server.url), timeout_s=0.3)
    found = await made.score(case())
    assert isinstance(found, NoVerdict)
    assert (found.reason, found.arm) == (reason, "large")
    assert made.counts == {reason: 1}


async def test_nobody_at_home_is_missing_and_costs_nothing(upstream: Upstream) -> None:
    made = judge(upstream, arm("large", closed_url()))
    found = await made.score(case())
    assert isinstance(found, NoVerdict)
    assert (found.reason, found.cost_usd) == ("failed", 0.0)
    assert made.budget.spent_usd == 0.0


async def test_a_judge_that_was_given_up_on_stops_and_its_call_counts_as_dear_as_can_be(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(ANY, Say("4", hold=asyncio.Event()))
    made = judge(upstream, arm("large", server.url), timeout_s=0.2)
    assert (await made.score(case())).cost_usd == 0.0
    await server.left()
    assert made.budget.spent_usd > 0.0


async def test_a_server_without_schemas_is_asked_without_and_the_next_time_at_once(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(ANY, Picky(("response_format",), Say('{"score": 5}')))
    made = judge(upstream, arm("large", server.url), style="json")
    assert isinstance(await made.score(case()), JudgeVerdict)
    assert ["response_format" in sent for sent in server.requests] == [True, False]
    assert "logprobs" in server.requests[1]
    assert isinstance(await made.score(case()), JudgeVerdict)
    assert len(server.requests) == 3


async def test_a_server_without_log_probabilities_is_asked_without_and_its_schema_is_kept(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(ANY, Picky(("logprobs", "top_logprobs"), Say('{"score": 2}')))
    found = await judge(upstream, arm("large", server.url), style="json").score(case())
    assert isinstance(found, JudgeVerdict)
    assert (found.quality, found.stderr, found.how) == (0.25, None, "text")
    assert "response_format" in server.requests[-1]


async def test_what_one_arms_server_takes_says_nothing_of_anothers(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script("org/plain", Picky(("logprobs",), Say("4")))
    server.script("org/rich", Say("4"))
    made = judge(upstream, arm("plain", server.url), arm("rich", server.url))
    await made.score(case())
    await made.score(case(arm=arm("plain")))
    assert [sent["model"] for sent in server.requests][-1] == "org/rich"
    assert "logprobs" in server.requests[-1]


async def test_an_arms_own_system_text_and_votes_are_no_part_of_its_judging(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(ANY, Say("4"))
    pirate = replace(arm("large", server.url), profile=Profile(system="Talk like a pirate.", best_of=3, max_tokens=1))
    assert isinstance(await judge(upstream, pirate).score(case()), JudgeVerdict)
    (sent,) = server.requests
    assert "pirate" not in str(sent)
    assert sent["max_tokens"] == 2


async def test_what_people_wrote_is_neither_logged_nor_in_a_repr(
    server: ScriptedUpstream, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script(ANY, Fail(500))
    private = case("my-secret", messages=[{"role": "user", "content": "my-secret"}], reference="my-secret")
    found = await judge(upstream, arm("large", server.url)).score(private)
    assert "my-secret" not in caplog.text + repr(private) + repr(found)
