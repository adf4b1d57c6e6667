"""All arms priced at once are what each is by itself."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import arm_penalties, estimate_usage, expected_usd
from highwayman.env.cost.usage import TokenUse, expected_prompt_tokens
from highwayman.env.load.queueing import QueueState
from highwayman.env.types import SCRIPT_FLAG, Arm, Context, Mode, Profile, Status
from highwayman.feedback.fold.tallies.arm_tally import ArmTally
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.fold.tally_quotes import TallyQuotes
from tests.feedback.worlds import context, decision, outcome

WORDY = Profile(system="Be brief. " * 40, few_shot=(("q", "a"),), max_tokens=300, best_of=3)
POOL = (
    Arm("a", ("http://a",), "a", 0.1, 0.3, 4096, wh_per_mtok=10.0),
    Arm("b", ("http://b",), "b", 2.0, 9.0, 300, profile=WORDY),
    Arm("c", ("http://c",), "c", None, 1.0, 4096, wh_per_mtok=70.0),
    Arm("d", ("http://d", "http://e"), "d", 0.0, 0.0, 4096, profile=Profile(max_tokens=60)),
)
NAMES = tuple(arm.name for arm in POOL)
OBJECTIVE = Objective("auto", 900.0, 0.5, 3.0)
UNDER_WAY = {"a": 3, "b": 40, "c": 0, "d": 17}
QUEUES = {"b": QueueState(4.0, 2.0, 0.5), "d": QueueState(0.0, 9.0, -30.0)}


def asked(tokens: int, side: float, script: str) -> Context:
    flags = frozenset({SCRIPT_FLAG + script}) if script else frozenset()
    return replace(context(side, -0.25, 1.0), prompt_tokens=tokens, flags=flags)


def check(quotes: TallyQuotes, tally: Tally, query: Context, max_tokens: int | None) -> None:
    """Compare all that is quoted with what the arms' own estimates say."""
    quotes.follow(tally)
    estimates = estimate_usage(
        POOL,
        lambda name: tally.arms.get(name, ArmTally()).token_use,
        prompt_tokens=query.prompt_tokens,
        max_tokens=max_tokens,
        under_way=UNDER_WAY.__getitem__,
        script=query.script,
        queue=QUEUES.get,
        answers=tally.amounts.expected(query.features, NAMES),
    )
    quoted = quotes.estimates(query, max_tokens=max_tokens, under_way=UNDER_WAY.__getitem__, queue=QUEUES.get)
    assert quoted.usd == pytest.approx(expected_usd(NAMES, estimates), rel=1e-12, nan_ok=True)
    assert quoted.penalties(OBJECTIVE) == pytest.approx(arm_penalties(NAMES, estimates, OBJECTIVE), rel=1e-12)
    for name, estimate in quoted.by_arm(NAMES).items():
        wanted = estimates[name]
        for amount, right in zip(astuple(estimate), astuple(wanted), strict=True):
            assert amount == (None if right is None else pytest.approx(right, rel=1e-12))
    uses = [tally.arms.get(name, ArmTally()).token_use for name in NAMES]
    tokens = [
        expected_prompt_tokens(arm, use, prompt_tokens=query.prompt_tokens, script=query.script)
        for arm, use in zip(POOL, uses, strict=True)
    ]
    assert quotes.prompt_tokens(query).tolist() == tokens
    assert [quotes.prompt_tokens_of(name, query) for name in NAMES] == tokens
    assert quotes.most_prompt_tokens(query) >= max(tokens)
    for at in (outcome("d").at, outcome("d").at + 7.0):
        chances = quotes.chances(at)
        wanted_chances = [tally.arms.get(name, ArmTally()).answer_rate.chance(at) for name in NAMES]
        assert (np.ones(len(POOL)) if chances is None else chances).tolist() == wanted_chances


CALLS = st.tuples(
    st.sampled_from("abcd"),
    st.sampled_from(["answered", "named", "failed", "unread"]),
    st.floats(-1.0, 1.0),
    st.integers(1, 3_000),
    st.sampled_from(["", "greek"]),
)


@given(st.lists(CALLS, max_size=6), st.integers(1, 5_000), st.sampled_from([None, 1, 100]))
@settings(max_examples=10)
def test_whatever_was_learned_last_all_arms_at_once_are_priced_as_each_by_itself(
    calls: list[tuple[str, str, float, int, str]], tokens: int, max_tokens: int | None
) -> None:
    tally, quotes = Tally(), TallyQuotes(POOL)
    queries = [asked(tokens, 0.3, script) for script in ("", "greek", "")]
    check(quotes, tally, queries[0], max_tokens)
    for number, (name, what, side, tokens_out, script) in enumerate(calls):
        mode = Mode.FORCED if what == "named" else Mode.ROUTE
        made = replace(decision(str(number), arm=name, arms=NAMES, mode=mode), context=asked(50, side, script))
        made = replace(made, objective="as_named" if what == "named" else "auto")
        status = Status.FAILED if what == "failed" else Status.OK
        ended = replace(outcome(str(number), arm=name, status=status), tokens_out=tokens_out, tokens_in=tokens_out + 60)
        tally.on_outcome(ended)
        if what != "unread":
            tally.on_prompt_read(made, ended)
            tally.amounts.on_answer(made, ended)
        check(quotes, tally, queries[number % 3], max_tokens)
    again = Tally.from_json(tally.to_json())
    check(quotes, again, queries[1], max_tokens)


def test_bits_are_those_of_the_arms_own_estimates_so_that_others_who_price_one_by_one_decide_alike() -> None:
    tally, quotes, rng = Tally(), TallyQuotes(POOL[:1]), np.random.default_rng(0)
    for number in range(50):
        made = replace(decision(str(number), arms=("a",)), context=asked(50, float(rng.normal()), ""))
        ended = replace(outcome(str(number)), tokens_out=int(rng.integers(1, 900)), tokens_in=int(rng.integers(60, 90)))
        tally.on_outcome(ended)
        tally.on_prompt_read(made, ended)
        tally.amounts.on_answer(made, ended)
    quotes.follow(tally)
    for _ in range(20):
        query = asked(int(rng.integers(1, 999)), float(rng.normal()), "")
        answers = tally.amounts.expected(query.features, ("a",))
        alone = estimate_usage(
            POOL[:1], lambda name: tally.arms[name].token_use, prompt_tokens=query.prompt_tokens, answers=answers
        )
        assert quotes.estimates(query).usd.tolist() == [alone["a"].usd]


def test_an_arm_that_no_call_went_to_is_not_taken_for_one_that_the_tally_knows() -> None:
    tally, quotes = Tally(), TallyQuotes(POOL)
    quotes.follow(tally)
    quotes.estimates(asked(10, 0.0, ""))
    assert not tally.arms
    assert quotes.token_use("a") == TokenUse()
