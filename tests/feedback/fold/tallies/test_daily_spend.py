"""Dollars by tenant and day, as outcomes on the log add to them."""

from dataclasses import replace

from highwayman.env.cost.spend_ledger import Spend
from highwayman.env.types import Outcome, Status
from highwayman.feedback.fold.tally import Tally
from tests.feedback.worlds import outcome


def at(day: int, *, usd: float | None, name: str = "d", status: Status = Status.OK) -> Outcome:
    return replace(outcome(name, cost_usd=usd, status=status), at=day * 86_400.0 + 5.0)


def test_dollars_are_kept_by_tenant_and_day_of_utc() -> None:
    tally = Tally()
    tally.on_outcome(at(100, usd=0.5))
    tally.on_outcome(at(100, usd=0.25, status=Status.FAILED))  # it cost what it cost
    tally.on_outcome(at(101, usd=None))
    tally.on_outcome(at(101, usd=1.0), tenant="of another")
    tally.on_outcome(at(101, usd=9.0, status=Status.LOST))  # nobody knows
    assert tally.spent() == {100: Spend(0.75, 2), 101: Spend(0.0, 1)}
    assert tally.spent("of another") == {101: Spend(1.0, 1)}
    assert tally.spent("nobody") == {}


def test_three_days_are_kept_whoever_spends() -> None:
    tally = Tally()
    for day in (100, 101, 102):
        tally.on_outcome(at(day, usd=1.0))
    tally.on_outcome(at(103, usd=1.0), tenant="of another")
    assert list(tally.spent()) == [101, 102]
    tally.on_outcome(at(100, usd=1.0))  # a spool that was drained late
    assert list(tally.spent()) == [101, 102]


def test_an_erased_outcome_is_not_counted_in_its_day() -> None:
    tally = Tally()
    tally.on_outcome(at(100, usd=1.0))
    tally.on_outcome(at(100, usd=0.5, name="e"))
    tally.on_outcome(at(100, usd=0.5, name="e"), sign=-1)
    assert tally.spent() == {100: Spend(1.0, 1)}


def test_dollars_by_day_round_trip_and_older_tallies_have_none() -> None:
    tally = Tally()
    tally.on_outcome(at(100, usd=0.5))
    tally.on_outcome(at(101, usd=0.1), tenant="of another")
    again = Tally.from_json(tally.to_json())
    assert (again.spent(), again.spent("of another")) == (tally.spent(), tally.spent("of another"))
    assert again.to_json() == tally.to_json()
    assert again.arms == tally.arms
    assert Tally.from_json(b'{"a": {"decisions": 3}}').spent() == {}


def test_what_all_tenants_spent_is_the_sum_of_what_each_did() -> None:
    tally = Tally()
    tally.on_outcome(at(100, usd=0.5))
    tally.on_outcome(at(101, usd=0.25))
    tally.on_outcome(at(101, usd=1.0), tenant="of another")
    assert tally.spent_by_all() == {100: Spend(0.5, 1), 101: Spend(1.25, 2)}
    assert Tally().spent_by_all() == {}


def test_dollars_written_when_all_were_the_default_tenants_are_read_as_that() -> None:
    before = b'{"#spent": {"100 calls default": 2, "100 usd default": 0.75}, "a": {"cost_usd": 0.75}}'
    tally = Tally.from_json(before)
    tally.on_outcome(at(100, usd=0.25), tenant="of another")
    assert (tally.spent(), tally.spent("of another")) == ({100: Spend(0.75, 2)}, {100: Spend(0.25, 1)})
    assert tally.spent_by_all() == {100: Spend(1.0, 3)}


def test_dollars_move_to_the_tenant_once_the_decision_comes() -> None:
    tally = Tally()
    early = at(100, usd=0.5)
    tally.on_outcome(early)
    tally.on_tenant_known(early, "of another")
    assert (tally.spent("of another"), tally.spent_by_all()) == ({100: Spend(0.5, 1)}, {100: Spend(0.5, 1)})
    assert tally.spent() == {100: Spend(0.0, 0)}
    tally.on_tenant_known(at(100, usd=9.0, status=Status.LOST), "of another")
    assert tally.spent_by_all() == {100: Spend(0.5, 1)}
