"""The judge asked which of two answers is better."""

import pytest

from highwayman.env.upstream.client import Upstream
from highwayman.feedback.judge.types import NoVerdict, Preference
from tests.feedback.judge.askers import OTHER, judge
from tests.feedback.judge.cases import arm, case
from tests.upstream_server import ANY, Body, Say, ScriptedUpstream


async def test_both_orders_are_asked_and_a_lean_to_the_first_place_cancels(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(ANY, Say("A"))
    found = await judge(upstream, arm("large", server.url)).compare(case("four"), "five", OTHER)
    assert isinstance(found, Preference)
    assert (found.share, found.position_bias, found.consistent, found.how) == (0.5, 1.0, False, "text")
    assert found.usage.tokens_in == 2 * Say().tokens_in
    first, second = (sent["messages"][1]["content"] for sent in server.requests)
    assert first.index("\nfour\n") < first.index("\nfive\n")
    assert second.index("\nfive\n") < second.index("\nfour\n")


async def test_a_judge_that_sees_the_better_answer_prefers_it_wherever_it_stands(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    def better(body: Body) -> str:
        text = body["messages"][1]["content"]
        return "A" if text.index("\nfour\n") < text.index("\nfive\n") else "B"

    server.script(ANY, Say(better))
    found = await judge(upstream, arm("large", server.url)).compare(case("four"), "five", OTHER)
    assert isinstance(found, Preference)
    assert (found.share, found.position_bias, found.consistent) == (1.0, 0.0, True)


async def test_after_junk_in_the_first_order_the_second_is_not_paid_for(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    server.script(ANY, Say("Both."))
    found = await judge(upstream, arm("large", server.url)).compare(case(), "five", OTHER)
    assert isinstance(found, NoVerdict)
    assert found.reason == "junk"
    assert found.cost_usd == pytest.approx(12e-6)
    assert len(server.requests) == 1


async def test_answers_that_are_alike_are_a_tie_about_which_nobody_is_asked(
    server: ScriptedUpstream, upstream: Upstream
) -> None:
    found = await judge(upstream, arm("large", server.url)).compare(case("4"), " 4\n", OTHER)
    assert isinstance(found, Preference)
    assert (found.share, found.how, found.cost_usd) == (0.5, "same", 0.0)
    assert server.requests == []
