import math
from dataclasses import replace

import numpy as np

from highwayman.env.cost.budget import SpendLimits
from highwayman.env.types import DEFAULT_TENANT, Outcome, Status
from highwayman.feedback.fold.tally import Tally
from highwayman.serving.completions.routing.spend_tracker import SpendTracker
from tests.feedback.worlds import decision, outcome

NOON = 20_000 * 86_400.0 + 43_200.0
DOLLAR = np.array([1.0])


class Log:
    """What processes write, and the fold of it that is published."""

    def __init__(self) -> None:
        self.tally, self.place = Tally(), 0

    def write(self, spending: SpendTracker, ended: Outcome, *, tenant: str = DEFAULT_TENANT) -> None:
        self.place += 1
        self.tally.on_outcome(ended, tenant=tenant)
        spending.on_logged(ended, f"{self.place}-0")

    def published(self) -> tuple[Tally, str]:
        return Tally.from_json(self.tally.to_json()), f"{self.place}-0"


def process() -> SpendTracker:
    return SpendTracker(SpendLimits(usd_per_day=4.0, hard=True), clock=lambda: NOON)


def call(spending: SpendTracker, name: str, *, usd: float = 1.0) -> Outcome:
    """Have a call that costs what was expected, and return what came of it."""
    spending.on_decision(decision(name), usd)
    ended = replace(outcome(name, cost_usd=usd), at=NOON)
    spending.on_outcome(ended)
    return ended


def test_processes_share_a_days_ceiling_and_a_restart_finds_it_as_it_was() -> None:
    log, one, other = Log(), process(), process()
    for number, spending in enumerate((one, one, other)):
        log.write(spending, call(spending, str(number)))
    assert not one.over_budget(DOLLAR)[0]
    for spending in (one, other):
        spending.on_published(*log.published())
        assert spending.over_budget(np.array([1.01]))[0]  # three of four dollars are gone
        assert not spending.over_budget(DOLLAR)[0]
    log.write(other, call(other, "last"))
    assert other.over_budget(np.array([0.01]))[0]
    one.on_published(*log.published())
    restarted = process()
    assert not restarted.over_budget(DOLLAR)[0]
    restarted.on_published(*log.published())
    assert one.over_budget(np.array([0.01]))[0]
    assert restarted.over_budget(np.array([0.01]))[0]


def test_a_days_ceiling_is_the_routers_whosever_calls_they_are() -> None:
    log, spending = Log(), process()
    for number, tenant in enumerate((DEFAULT_TENANT, "acme", "acme")):
        log.write(spending, call(spending, str(number)), tenant=tenant)
    spending.on_published(*log.published())
    assert spending.over_budget(np.array([1.01]))[0]  # three of four dollars are gone
    assert not spending.over_budget(DOLLAR)[0]


def test_a_call_that_is_published_before_its_process_hears_where_it_stands_is_counted_once_in_the_end() -> None:
    log, spending = Log(), process()
    ended = call(spending, "d")
    log.tally.on_outcome(ended)
    log.place = 1
    spending.on_published(*log.published())
    spending.on_logged(ended, "1-0")
    spending.on_published(*log.published())
    assert not spending.over_budget(np.array([3.0]))[0]


def test_what_an_arm_has_cost_counts_everybodys_calls_and_those_under_way() -> None:
    log, one, other = Log(), process(), process()
    log.write(one, call(one, "d", usd=0.25))
    assert (one.spent_usd("a"), other.spent_usd("a")) == (0.25, 0.0)
    other.on_published(*log.published())
    other.on_decision(decision("e"), 0.5)
    other.on_decision(decision("f"), math.nan)
    assert other.spent_usd("a") == 0.75
    other.on_outcome(replace(outcome("e", cost_usd=0.125), at=NOON))
    assert other.spent_usd("a") == 0.375
    assert other.spent_usd("b") == 0.0


def test_an_arm_is_expected_to_be_as_slow_as_its_calls_were_with_as_many_beside_them() -> None:
    spending = process()
    for number in range(40):  # one at a time takes 1 s, four at once 4 s each
        at_once = 4 if number % 2 else 1
        names = [f"{number}-{k}" for k in range(at_once)]
        for name in names:
            spending.on_decision(decision(name), 0.0)
        for name in names:
            spending.on_outcome(replace(outcome(name), at=NOON, latency_s=float(at_once)))
    arm = decision("x").arm
    idle = spending.queue(arm)
    for name in ("a", "b", "c"):
        spending.on_decision(decision(name), 0.0)
    busy = spending.queue(arm)
    assert idle is not None
    assert busy is not None
    assert idle.delay_s(1.0) < -0.5
    assert busy.delay_s(1.0) > 0.5


def test_calls_that_failed_say_nothing_of_how_long_answers_take() -> None:
    spending = process()
    for number in range(20):
        spending.on_decision(decision(str(number)), 0.0)
        spending.on_outcome(replace(outcome(str(number), status=Status.FAILED), at=NOON, latency_s=60.0))
    assert spending.queue(decision("x").arm) is None
