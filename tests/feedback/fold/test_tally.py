from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.errors import SnapshotError
from highwayman.env.types import Attempt, CascadeStage, Decision, Mode, Outcome, Status
from highwayman.feedback.fold.tally import Tally
from tests.feedback.worlds import decision, outcome


def test_shares_count_routed_decisions_only() -> None:
    tally = Tally()
    for name, arm, mode in (("1", "a", Mode.ROUTE), ("2", "b", Mode.ROUTE), ("3", "b", Mode.FORCED)):
        tally.on_decision(decision(name, arm=arm, mode=mode))
    assert (tally.share("a"), tally.share("b")) == (0.5, 0.5)
    assert tally.arm("b").decisions == 2


def test_before_any_decision_nobody_has_a_share() -> None:
    assert (Tally().share("a"), Tally().recent_share("a")) == (0.0, 0.0)


def test_the_recent_share_follows_the_latest_decisions() -> None:
    tally = Tally()
    for k in range(300):
        tally.on_decision(decision(str(k), arm="a" if k < 200 else "b"))
    assert tally.share("a") == pytest.approx(2 / 3)
    assert tally.recent_share("a") < 0.15


def test_a_served_call_is_counted_where_it_was_served() -> None:
    tally = Tally()
    tally.on_outcome(outcome("d", arm="b"))
    served = tally.arm("b")
    assert (served.calls, served.tokens_out, served.overhead_tokens, served.cost_usd) == (1, 7, 8.0, 0.002)


def test_every_answer_of_a_cascade_counts_where_it_was_given_and_all_its_dollars_once() -> None:
    tally, cheap = Tally(), CascadeStage("a", {}, 0.2, 0.98, True, "b", 20, 5, 0.001, 0.25)
    both = replace(outcome("d", arm="b", cost_usd=0.011), latency_s=1.0, ttft_s=0.75, stages=(cheap,))
    tally.on_outcome(both)
    first, last = tally.arm("a"), tally.arm("b")
    assert (first.calls, first.tokens_out, first.latency_s, first.cost_usd) == (1, 5, 0.25, 0.001)
    assert (last.calls, last.tokens_out, last.latency_s) == (1, 7, 0.75)
    assert last.cost_usd == pytest.approx(0.010)
    (spent,) = tally.spent().values()
    assert (spent.calls, spent.usd) == (1, pytest.approx(0.011))
    tally.on_outcome(both, sign=-1)
    assert (first.calls, first.latency_s, last.calls, last.latency_s) == (0, 0.0, 0, 0.0)


def test_of_a_cascade_whose_client_left_the_rejected_answer_counts_and_the_other_does_not() -> None:
    tally, cheap = Tally(), CascadeStage("a", {}, 0.2, 0.98, True, "b", 20, 5, 0.001, 0.25)
    tally.on_outcome(replace(outcome("d", arm="b", status=Status.CLIENT_GONE), stages=(cheap,)))
    assert (tally.arm("a").calls, tally.arm("b").calls) == (1, 0)


def test_a_decision_for_a_cascade_was_drawn_as_any_other() -> None:
    tally = Tally()
    tally.on_decision(decision("1", arm="a", mode=Mode.CASCADE))
    assert tally.share("a") == 1.0


def test_an_arms_seconds_are_those_of_its_calls_that_answered_and_an_erased_one_takes_its_own_away() -> None:
    tally = Tally()
    calls = [replace(outcome(str(n)), latency_s=float(n), tokens_in=20 * n) for n in (1, 2, 4)]
    for call in calls:
        tally.on_outcome(call)
    tally.on_outcome(replace(outcome("f", status=Status.FAILED), latency_s=60.0))
    assert tally.arm("a").latency_s == tally.arm("a").token_use.latency_s == 7.0
    tally.on_outcome(calls[1], sign=-1)
    served = tally.arm("a")
    assert (served.calls, served.latency_s, served.tokens_out) == (2, 5.0, 14)
    assert (served.tokens_in, served.overhead_tokens) == (20 * 5 + 20, 20 * 5 - 24)


def test_a_failure_counts_under_every_arm_that_was_asked_and_did_not_answer() -> None:
    tally = Tally()
    tried = (
        Attempt("a", "http://a:1", 0.1, "arms_fault", "answered 401"),
        Attempt("a", "http://a:2", 0.1, "arms_fault", "answered 401"),
        Attempt("c", "http://c:1", 0.1, "window_too_small", "its context window is too small"),
        Attempt("b", "http://b:1", 0.1, "arms_fault", "answered 503"),
        Attempt("b", "http://b:2", 0.4, "answered"),
    )
    failed_over = replace(outcome("d", arm="b"), tried=tried)
    tally.on_outcome(failed_over)
    assert [tally.arm(name).failures for name in "abc"] == [1, 0, 0]  # one replica of b answered
    broken = replace(outcome("e", status=Status.FAILED), tried=(Attempt("a", "http://a:1", 0.1, "broke_off"),))
    tally.on_outcome(broken)
    assert tally.arm("a").failures == 2
    tally.on_outcome(failed_over, sign=-1)
    tally.on_outcome(broken, sign=-1)
    assert [tally.arm(name).failures for name in "abc"] == [0, 0, 0]


def chance(tally: Tally, name: str) -> float:
    return tally.arm(name).answer_rate.chance(outcome("d").at)


def test_a_chance_to_answer_falls_for_who_failed_though_another_answered() -> None:
    tally = Tally()
    tried = (Attempt("a", "http://a:1", 0.1, "arms_fault"), Attempt("b", "http://b:1", 0.1, "answered"))
    for _ in range(10):
        tally.on_outcome(replace(outcome("d", arm="b"), tried=tried))
    assert chance(tally, "a") < 0.2
    assert chance(tally, "b") == 1.0
    tally.on_outcome(replace(outcome("d", arm="b"), tried=tried), sign=-1)
    assert chance(tally, "a") < 0.2


@pytest.mark.parametrize("ending", ["callers_fault", "window_too_small", "overtaken", "client_left"])
def test_what_is_not_an_arms_fault_leaves_its_chance_to_answer(ending: str) -> None:
    tally = Tally()
    tried = (Attempt("a", "http://a:1", 0.1, ending),)
    tally.on_outcome(replace(outcome("d", status=Status.REFUSED), tried=tried))
    assert chance(tally, "a") == 1.0


def test_chances_to_answer_round_trip_and_a_tally_from_before_them_is_read() -> None:
    tally = Tally()
    before = tally.to_json()
    tally.on_outcome(outcome("d", status=Status.FAILED))
    read = Tally.from_json(tally.to_json())
    assert read.arms == tally.arms
    assert chance(read, "a") == 0.5
    assert b"answer_rates" not in before
    assert chance(Tally.from_json(before), "a") == 1.0


def test_a_failed_call_counts_as_a_failure_and_not_as_token_use() -> None:
    tally = Tally()
    tally.on_outcome(outcome("d", status=Status.FAILED))
    assert (tally.arm("a").failures, tally.arm("a").calls, tally.arm("a").tokens_out) == (1, 0, 0)


def test_a_call_that_the_router_itself_cut_off_is_paid_for_and_nobodys_failure() -> None:
    tally = Tally()
    tally.on_outcome(outcome("d", status=Status.CUT))
    assert (tally.arm("a").failures, tally.arm("a").calls, tally.arm("a").cost_usd) == (0, 0, 0.002)


def called(tokens_in: int, *, estimated: int = 1_000, script: str = "", **changed: Any) -> tuple[Decision, Outcome]:
    asked = decision("d")
    context = replace(asked.context, prompt_tokens=estimated, flags=frozenset({f"script:{script}"} if script else ()))
    return replace(asked, context=context), replace(
        outcome("d"), prompt_tokens=estimated, tokens_in=tokens_in, **changed
    )


def ratio(tally: Tally, script: str = "") -> float:
    return tally.arm("a").token_use.fits[script].line()[1]


def test_an_arms_tokenizer_is_learned_from_the_usage_that_it_reports_by_script() -> None:
    tally = Tally()
    for _ in range(20):
        for estimated in (100, 3_000):
            tally.on_prompt_read(*called(estimated, estimated=estimated - 1))
            tally.on_prompt_read(*called(2 * estimated, estimated=estimated, script="arabic"))
    assert ratio(tally) == pytest.approx(1.0, abs=0.02)
    assert ratio(tally, "arabic") == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    ("asked", "came"),
    [
        called(1_000),  # nothing was reported: it is the estimate
        called(0),
        (called(2_000)[0], replace(called(2_000)[1], estimated=True)),  # counted from the text here
        called(5_000, status=Status.FAILED),
        (replace(called(5_000)[0], objective="judge"), called(5_000)[1]),  # a judge reads a prompt of its own
    ],
)
def test_a_call_that_says_nothing_of_the_tokenizer_teaches_none(asked: Decision, came: Outcome) -> None:
    tally = Tally()
    tally.on_prompt_read(asked, came)
    assert not tally.arm("a").fits


def test_tokenizers_round_trip_and_add_up_with_no_others() -> None:
    tally = Tally()
    tally.on_prompt_read(*called(2_000))
    tally.on_prompt_read(*called(2_000, script="arabic"))
    read = Tally.from_json(tally.to_json())
    assert read.arms == tally.arms
    assert read.to_json() == tally.to_json()
    assert not tally.totals().fits


def test_a_tally_from_before_tokenizers_were_learned_is_read() -> None:
    tally = Tally()
    tally.on_outcome(outcome("1"))
    assert b"fits" not in tally.to_json()
    assert Tally.from_json(tally.to_json()).arm("a").token_use.fits == {}


def test_what_a_prompts_tokens_take_is_learned_of_answers_that_were_streamed_and_of_what_no_cache_held() -> None:
    tally = Tally()
    for tokens in (100, 4_000) * 50:
        streamed = replace(outcome("d"), tokens_in=tokens, ttft_s=0.2 + 1e-4 * tokens, latency_s=9.0)
        tally.on_outcome(streamed)
        tally.on_outcome(replace(streamed, tokens_in=8_000, tokens_cached=8_000 - tokens))
        tally.on_outcome(replace(streamed, arm="whole", latency_s=0.2 + 1e-4 * tokens))
        tally.on_outcome(replace(streamed, arm="failed", status=Status.FAILED))
    assert tally.arm("a").token_use.prefill.seconds_per_token == pytest.approx(1e-4, rel=0.05)
    for name in ("whole", "failed"):
        assert tally.arm(name).prefill.seconds_per_token == 0.0
    again = Tally.from_json(tally.to_json())
    assert again.arms == tally.arms
    assert again.to_json() == tally.to_json()
    assert tally.totals().prefill.weight == 0.0


def test_the_tally_round_trips() -> None:
    tally = Tally()
    tally.on_decision(decision("1"))
    tally.on_outcome(outcome("1"))
    assert Tally.from_json(tally.to_json()).arms == tally.arms


@pytest.mark.parametrize(
    "damaged", [b'{"#spent": 3}', b'{"#spent": {"1 usd": 2}}', b'{"#spent": {"1 usd t": 2}}', b"[]"]
)
def test_a_tally_that_makes_no_sense_is_refused(damaged: bytes) -> None:
    with pytest.raises(SnapshotError, match="tally is damaged"):
        Tally.from_json(damaged)


def test_a_chance_to_answer_rises_with_every_answer_after_a_failure_and_is_no_lower_for_an_erased_one() -> None:
    tally, chances = Tally(), []
    tally.on_outcome(outcome("d", status=Status.FAILED))
    for number in range(20):
        chances.append(chance(tally, "a"))
        tally.on_outcome(outcome(f"e{number}"))
    assert chances == sorted(set(chances))
    last = chance(tally, "a")
    assert last > 0.9
    tally.on_outcome(outcome("e0"), sign=-1)
    assert chance(tally, "a") == last
