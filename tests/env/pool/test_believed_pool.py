"""What is asked of all arms at once is what is asked of each by itself, whatever was believed and whoever rested."""

from typing import Any

import numpy as np
import pytest

from highwayman.env.errors import NoEligibleArm
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.pool.eligibility import RULES, Pool, Rule
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, ArmState, Profile, Query

TEXT, SEEING = frozenset({"text"}), frozenset({"text", "image"})
ARMS = (
    Arm("a", ("http://1", "http://2"), "m", 1.0, 1.0, 1000, tools=True),
    Arm("b", ("http://2",), "n", 1.0, 1.0, 700, modalities=SEEING, tools=None),
    Arm("c", ("http://3",), "m", 1.0, 1.0, 900, modalities=SEEING, profile=Profile(max_tokens=40, system="Be brief.")),
    Arm("d", ("http://1",), "m", 1.0, 1.0, 5000, state=ArmState.DRAINING),
    Arm("e", ("http://3", "http://1"), "k", 1.0, 1.0, 800, tools=None),
)
QUERIES = tuple(
    Query(text="hi", prompt_chars=2, **options)
    for options in (
        {},
        {"max_tokens": 300},
        {"max_tokens": 300, "limit_is_ceiling": True},
        {"max_tokens": 32_000, "limit_is_ceiling": True},
        {"images": 1},
        {"tools": 1},
        {"modalities": TEXT},
        {"plain_text": False},
        {"images": 2, "tools": 3, "max_tokens": 5},
        {"modalities": SEEING},
    )
)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refuses_long_answers(arm: Arm, query: Query, prompt_tokens: int) -> str | None:
    """Object, as a rule of somebody's own, to what is neither a matter of form nor of the window."""
    return "is asked too much" if arm.name == "a" and prompt_tokens + (query.max_tokens or 0) > 900 else None


def one_by_one(pool: Pool, query: Query, tokens: dict[str, int]) -> tuple[list[str], list[str]]:
    """Return the arms that may answer, and those that rest: by what is said of each arm."""
    able = [arm for arm in pool.arms.values() if pool.refusal(arm, query, tokens[arm.name]) is None]
    askable = [arm for arm in able if pool.may_ask(arm)]
    resting = [arm.name for arm in able if askable and arm not in askable]
    return [arm.name for arm in askable or able], resting


EVENTS = (
    "fails", "fails", "asks for rest", "answers", "probed", "probed", "waited for", "time", "time", "small window",
    "guessed window", "long answer", "calls tools", "refuses tools", "lists", "lists all", "misses",
)  # fmt: skip


def happen(pool: Pool, clock: Clock, waits: list[Any], event: tuple[str, int, int]) -> None:
    """Let something happen to an arm of the pool."""
    what, k, number = event
    arm = ARMS[k]
    endpoint = arm.endpoints[number % len(arm.endpoints)]
    if what == "probed":
        pool.health.begin_probe(endpoint, arm.model)
    elif what == "waited for":
        for _ in range(6):
            waits.append(pool.health.waiting(endpoint, arm.model, late_s=number % 3))
            waits[-1].__enter__()
    elif what == "time":
        clock.now += [0.5, 2.0, 31.0, 61.0, 700.0][k]
    else:
        {
            "fails": lambda: pool.health.on_failure(endpoint, model=arm.model),
            "asks for rest": lambda: pool.health.on_failure(endpoint, 5.0, model=arm.model, status=429),
            "answers": lambda: pool.health.on_success(endpoint, arm.model),
            "small window": lambda: pool.on_window_too_small(arm, number),
            "guessed window": lambda: pool.on_window_too_small(arm, None, number),
            "long answer": lambda: pool.on_answered(arm, number),
            "calls tools": lambda: pool.tools.on_called(arm),
            "refuses tools": lambda: pool.tools.on_ignored(arm),
            "lists": lambda: pool.loads.on_models(endpoint, ["m"]),
            "lists all": lambda: pool.loads.on_models(endpoint, ["m", "n", "k"]),
            "misses": lambda: pool.loads.on_model_missing(endpoint, arm.model),
        }[what]()


@pytest.mark.parametrize("rules", [RULES, (*RULES, refuses_long_answers)], ids=["shipped", "own"])
def test_whatever_happens_all_arms_at_once_are_told_what_each_is_by_itself(rules: tuple[Rule, ...]) -> None:
    for seed in range(8):
        play(rules, np.random.default_rng(seed))


def play(rules: tuple[Rule, ...], rng: np.random.Generator) -> None:
    """Let one thing after another happen to a pool, and ask it about a query after each."""
    tokens = rng.integers(1, 1000, 5).tolist()
    clock, waits = Clock(), list[Any]()
    pool = Pool(ARMS, EndpointHealth(clock), rules, loads=ReplicaLoads(clock), clock=clock)
    by_name = dict(zip(pool.arms, tokens, strict=True))
    for number in range(120):
        happen(pool, clock, waits, (EVENTS[rng.integers(len(EVENTS))], int(rng.integers(5)), int(rng.integers(1000))))
        for query in (QUERIES[number % len(QUERIES)], QUERIES[3]):
            expected, resting = one_by_one(pool, query, by_name)
            assert pool.is_answerable(query, np.array(tokens, dtype=float)) == bool(expected)
            if not expected:
                with pytest.raises(NoEligibleArm, match=r"a .*; b .*; c .*; d .*; e "):
                    pool.answerable(query, np.array(tokens, dtype=float))
                continue
            answerable = pool.answerable(query, np.array(tokens, dtype=float))
            assert (list(answerable.names), list(answerable.resting)) == (expected, resting)
            assert [arm.name for arm in answerable.arms] == expected
            places = range(5) if answerable.places is None else answerable.places.tolist()
            assert [ARMS[place].name for place in places] == expected
            assert pool.eligible(query, lambda arm: by_name[arm.name]) == answerable.arms


@pytest.mark.parametrize("rules", [RULES, (*RULES, refuses_long_answers)], ids=["shipped", "own"])
def test_where_it_is_plain_that_all_may_answer_each_may_by_itself(rules: tuple[Rule, ...]) -> None:
    arms = [arm for arm in ARMS if arm.state is not ArmState.DRAINING]
    clock, plain = Clock(), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        pool = Pool(arms, EndpointHealth(clock), rules, loads=ReplicaLoads(clock), clock=clock)
        if seed % 3 == 0:
            pool.on_window_too_small(arms[int(rng.integers(4))], int(rng.integers(1, 1000)))
        if seed % 5 == 0:
            pool.health.on_failure(arms[int(rng.integers(4))].endpoints[0])
        tokens = dict(zip(pool.arms, rng.integers(1, 700, 4).tolist(), strict=True))
        for query in QUERIES:
            answerable = pool.all_answerable(query, max(tokens.values()))
            if answerable is not None:
                plain += 1
                assert one_by_one(pool, query, tokens) == (list(answerable.names), [])
                assert answerable is pool.answerable(query, np.array(list(tokens.values()), dtype=float))
    assert plain > 40 if rules is RULES else plain == 0


def test_whoever_comes_to_be_well_again_is_no_longer_looked_at() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    health.on_failure("http://1", model="m")
    with health.waiting("http://2", "m", late_s=0.0), health.waiting("http://2", "m", late_s=0.0):
        assert health.suspects() == ("http://1",)
    health.on_success("http://1", "m")
    assert health.suspects() == ()
