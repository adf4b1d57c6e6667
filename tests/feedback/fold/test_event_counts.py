"""What a fold counts of decisions and calls, whichever comes first."""

import itertools
from dataclasses import replace

import pytest

from highwayman.env.types import (
    DEFAULT_TENANT,
)
from highwayman.feedback.fold.learner import Learner, LogEntry
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import Record
from tests.feedback.worlds import decision, entries, make_learner, outcome


def test_a_tokenizer_is_learned_whichever_of_decision_and_outcome_comes_first() -> None:
    made, ended = decision("d"), replace(outcome("d"), tokens_in=3_000, prompt_tokens=2_000)
    ordered, turned = make_learner(), make_learner()
    ordered.step(entries([made, ended]))
    turned.step(entries([ended, made]))
    fits = ordered.tally.arm("a").token_use.fits
    assert fits[""].line()[1] > 1.0
    assert fits == turned.tally.arm("a").token_use.fits


def of_two_tenants() -> tuple[Event, ...]:
    made = replace(decision("d"), tenant="acme"), replace(decision("e"), tenant="other")
    ended = outcome("d", cost_usd=0.5), outcome("e", cost_usd=0.25)
    return *made, *ended


def dollars(state: Learner) -> tuple[float, ...]:
    """What the two tenants, and the default one, have spent."""
    return tuple(sum(day.usd for day in state.tally.spent(who).values()) for who in ("acme", "other", DEFAULT_TENANT))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_an_outcomes_dollars_are_on_the_account_of_its_decisions_tenant_in_whatever_order_they_come(
    order: tuple[int, ...],
) -> None:
    events = of_two_tenants()
    state = make_learner()
    state.step(entries([events[place] for place in order]))
    assert dollars(state) == pytest.approx((0.5, 0.25, 0.0))
    assert {day.calls for day in state.tally.spent(DEFAULT_TENANT).values()} <= {0}
    assert [day.calls for day in state.tally.spent_by_all().values()] == [2]
    assert state.tally.totals().cost_usd == pytest.approx(0.75)


def test_dollars_of_a_call_whose_decision_has_not_come_are_the_default_tenants() -> None:
    state = make_learner()
    state.step([LogEntry("1-0", outcome("d", cost_usd=0.5), Record(None, None, outcome("d"), "1-0"))])
    assert dollars(state) == (0.0, 0.0, 0.5)


def test_a_restart_between_decision_and_outcome_leaves_the_dollars_with_their_tenant() -> None:
    log = entries(of_two_tenants())
    before, after = make_learner(), make_learner()
    before.step(log[:3])
    after.restore(before.snapshot())
    after.step(log)
    assert dollars(after) == (0.5, 0.25, 0.0)
