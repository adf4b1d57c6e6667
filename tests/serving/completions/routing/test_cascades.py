"""Whether an answer may be looked at, what looking takes, and who may be asked after it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.cascade.gates import EXPECTED, Gates
from highwayman.bandit.cascade.plan import CascadeRules, LookedAt, Threshold
from highwayman.bandit.decision import Choice
from highwayman.bandit.draw import Draw
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.confidence.agreement import Agreement
from highwayman.env.confidence.refusal import Refusal
from highwayman.env.confidence.signal import Signal
from highwayman.env.confidence.verification import Verification
from highwayman.env.cost.objective import Objective
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Context, Floats
from highwayman.env.upstream.client import Upstream
from highwayman.serving.completions.calls.signal_reader import SignalReader
from highwayman.serving.completions.conversations.continuation import NEW_CONVERSATION, Continuation
from highwayman.serving.completions.requests.request import CompletionRequest, parse_chat, parse_completion
from highwayman.serving.completions.requests.routing_options import RoutingOptions
from highwayman.serving.completions.routing.cascades import CascadeOffer, CascadeRoute, Cascades
from tests.serving.running_router import arm, ask

ARMS = ("cheap", "middle", "dear")
CONTEXT = Context(np.array([1.0]), "f", 10)
CANDIDATES = Candidates(ARMS, np.array([0.001, 0.01, 0.1]), np.array([0.01, 0.05, 0.2]), options=np.zeros(3))
ALWAYS_ON = CascadeRules(max_stages=3, floor=0.0, threshold=Threshold("refusal", 0.5))
REFUSED = {"refusal": 0.0}


class Ceiling:
    """Bars arms expected to cost that much; adds nothing."""

    def __init__(self, usd: float) -> None:
        self.usd = usd

    def penalties(self, expected_usd: Floats) -> Floats:
        return np.zeros(len(expected_usd))

    def over_budget(self, expected_usd: Floats, most_usd: Floats | None = None) -> Any:
        return expected_usd >= self.usd


def cascades(*signals: Signal, rules: CascadeRules = ALWAYS_ON, gates: Gates | None = None) -> Cascades:
    arms = {name: arm(name, "http://127.0.0.1:1") for name in ARMS}
    upstream = Upstream(EndpointHealth(lambda: 0.0), lambda: 0.0)
    reader = SignalReader(signals or (Refusal(),), upstream, arms, 1.0)
    known = gates or Gates()
    return Cascades(rules, lambda tenant: known, reader, frozenset({"auto"}), np.random.default_rng(0))


def chat(**body: Any) -> CompletionRequest:
    return parse_chat(json.dumps(ask(**body)).encode())


def offered(made: Cascades, request: CompletionRequest | None = None, **options: Any) -> CascadeOffer | None:
    return made.offer(request or chat(), RoutingOptions(**options), "default")


def policy() -> HierTS:
    made = HierTS(d=1)
    for name in ARMS:
        made.add_arm(name)
    return made


def route(objective: Objective, *, budget: Ceiling | None = None) -> CascadeRoute:
    offer = offered(cascades())
    assert offer is not None
    choice = Choice(CANDIDATES, Draw(0, np.array([1.0, 0.0, 0.0]), 1.0))
    return offer.route(policy(), CONTEXT, choice, limits=objective, budget=budget)


def test_one_answer_of_a_chat_may_be_looked_at_and_nothing_that_its_caller_or_its_kind_forbids() -> None:
    made = cascades()
    assert offered(made) is not None
    assert offered(made, chat(n=1, stream=True)) is not None
    assert offered(made, cascade=False) is None
    assert offered(made, chat(n=2)) is None
    assert offered(made, parse_completion(json.dumps({"model": "auto", "prompt": "hi"}).encode())) is None
    in_loop = {"role": "tool", "tool_call_id": "c", "content": "4"}
    assert offered(made, parse_chat(json.dumps({"model": "auto", "messages": [in_loop]}).encode())) is None


def test_neither_a_tools_result_nor_a_clients_own_task_nor_another_alias_is_answered_by_one() -> None:
    offer = offered(cascades())
    assert offer is not None
    assert offer.serves("auto", NEW_CONVERSATION)
    assert not offer.serves("auto-cheap", NEW_CONVERSATION)
    assert not offer.serves("auto", Continuation(reads_tool_result=True))
    assert not offer.serves("auto", Continuation(is_client_task=True))


@pytest.mark.parametrize(
    ("objective", "budget", "spent_usd", "failed", "next_arm"),
    [
        ({}, None, 0.001, [], "middle"),
        ({}, None, 0.001, ["middle"], "dear"),
        ({"max_usd": 0.0115}, None, 0.001, [], "middle"),
        ({"max_usd": 0.0115}, None, 0.002, [], ""),  # together they would cost more
        ({"max_usd": 0.2}, None, 0.001, ["middle"], "dear"),
        ({}, 0.05, 0.001, ["middle"], ""),
        ({}, 0.01, 0.001, [], ""),
    ],
)
def test_who_is_too_dear_by_now_or_has_failed_is_not_asked_next(
    objective: dict[str, Any], budget: float | None, spent_usd: float, failed: list[str], next_arm: str
) -> None:
    later = route(Objective("auto", **objective), budget=None if budget is None else Ceiling(budget))
    choice = later.next_stage([LookedAt("cheap", REFUSED)], spent_usd=spent_usd, failed=failed)
    assert (choice.next_arm, choice.went_on) == (next_arm, next_arm != "")


def test_the_last_answer_is_not_looked_at_before_it_is_passed_on() -> None:
    later = route(Objective("auto"))
    assert not later.is_open  # its options are zeros
    assert not later.looks_at("cheap", answered=[])
    assert later.looks_at("middle", answered=["cheap"])
    assert not later.looks_at("dear", answered=["cheap", "middle"])
    opened = replace(later, candidates=replace(CANDIDATES, options=np.array([0.3, 0.0, 0.0])))
    assert opened.is_open
    assert [opened.looks_at(name, answered=[]) for name in ARMS] == [True, False, False]


@pytest.mark.parametrize(
    ("signal", "rules", "explores", "share"),
    [
        (Verification(), CascadeRules(), True, 0.05),
        (Verification(), CascadeRules(), False, 0.0),
        (Verification(), ALWAYS_ON, True, 0.0),  # no gate learns from it
        (Refusal(), CascadeRules(), True, 0.0),  # it is read of every answer
    ],
)
def test_what_takes_calls_is_tried_out_now_and_then_where_a_gate_learns_from_it(
    signal: Signal, rules: CascadeRules, explores: bool, share: float
) -> None:
    offer = offered(cascades(signal, rules=rules))
    assert offer is not None
    choice = Choice(CANDIDATES, Draw(0, np.array([1.0, 0.0, 0.0]), 1.0))
    limits, made = Objective("auto", explore=explores), policy()
    opened = [offer.route(made, CONTEXT, choice, limits=limits, budget=None).is_open for _ in range(2000)]
    assert sum(opened) / 2000 == pytest.approx(share, abs=0.02)


def taught() -> Gates:
    """Gates that have seen refusals tell a bad answer from a good one."""
    gates = Gates()
    for number in range(400):
        good = float(number % 2)
        signals = {EXPECTED: 0.5, "refusal": 1.0 - good}
        gates.on_look("cheap", signals)
        gates.learn("cheap", signals, weight=1.0, weighted=good, squared=good)
    return gates


def test_looking_is_worth_less_where_calls_or_waiting_take_something() -> None:
    def option(*signals: Signal, waiting_s: Floats | None = None) -> float:
        offer = offered(cascades(*signals, rules=CascadeRules(), gates=taught()), chat(stream=True))
        assert offer is not None
        objective = Objective("auto", points_per_s=1.0, explore=False)
        prices = np.array([0.02, 0.05, 0.06])
        candidates = Candidates(ARMS, CANDIDATES.usd, prices)
        options = offer.options(policy(), CONTEXT, candidates, objective, budget=None, waiting_s=waiting_s)
        return float(options[0])

    free = option(Refusal())
    assert free > 0.05
    assert option(Refusal(), waiting_s=np.array([3.0, 0.0, 0.0])) == pytest.approx(free - 0.03)
    assert option(Refusal(), Agreement(samples=2)) == pytest.approx(free - 2 * 0.02)
    assert option(Refusal(), Verification(arm="middle")) == pytest.approx(free - 0.05)
