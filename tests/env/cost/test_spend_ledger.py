import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.cost.spend_ledger import DAY_S, Spend, SpendLedger, day_of

NOON = 20_000 * DAY_S + DAY_S / 2
DAY = day_of(NOON)


def test_a_day_holds_what_all_have_spent_and_one_has_spent_since() -> None:
    ledger = SpendLedger()
    ledger.on_published((5, 0), {DAY: Spend(2.0, 10)})
    ledger.charge("mine", 0.5, arm="a", at=NOON)
    assert ledger.spent(DAY) == Spend(2.5, 11)
    assert ledger.spent(DAY + 1) == Spend()
    assert ledger.unpublished_usd("a") == 0.5


def test_a_call_is_counted_once_before_and_after_it_is_published() -> None:
    ledger = SpendLedger()
    ledger.charge("mine", 0.5, arm="a", at=NOON)
    ledger.on_logged("mine", (7, 1))
    ledger.on_published((7, 0), {DAY: Spend(2.0, 10)})  # just before it
    assert ledger.spent(DAY) == Spend(2.5, 11)
    ledger.on_published((7, 1), {DAY: Spend(2.5, 11)})
    assert ledger.spent(DAY) == Spend(2.5, 11)
    assert ledger.unpublished_usd("a") == 0.0


def test_what_waited_in_the_spool_is_published_with_the_next_call_written() -> None:
    ledger = SpendLedger()
    for name in ("one", "two"):
        ledger.charge(name, 1.0, arm="a", at=NOON)
        ledger.on_logged(name, None)
    ledger.on_published((6, 0), {DAY: Spend(0.25, 1)})
    assert ledger.spent(DAY) == Spend(2.25, 3)
    ledger.charge("three", 0.5, arm="b", at=NOON)
    ledger.on_logged("three", (9, 0))
    ledger.on_published((9, 0), {DAY: Spend(2.75, 4)})
    assert ledger.spent(DAY) == Spend(2.75, 4)


def test_what_waited_in_the_spool_is_published_once_that_is_drained_though_nothing_is_written_after_it() -> None:
    ledger = SpendLedger()
    ledger.on_drained((4, 0))  # of others
    for name in ("one", "two"):
        ledger.charge(name, 1.0, arm="a", at=NOON)
        ledger.on_logged(name, None)
    ledger.on_drained((8, 0))
    ledger.on_published((6, 0), {DAY: Spend(0.25, 1)})
    assert ledger.spent(DAY) == Spend(2.25, 3)
    ledger.on_published((8, 0), {DAY: Spend(2.25, 3)})
    assert ledger.spent(DAY) == Spend(2.25, 3)
    assert ledger.unpublished_usd("a") == 0.0


def test_a_call_of_another_process_is_not_ones_own() -> None:
    ledger = SpendLedger()
    ledger.on_logged("theirs", (3, 0))
    assert ledger.spent(DAY) == Spend()


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.booleans(), st.booleans()), max_size=40))
def test_processes_that_share_a_log_agree_with_it_once_all_is_published(
    calls: list[tuple[int, str, bool, bool]],
) -> None:
    """Three processes; `calls` are (process, arm, whether the log was away, whether a version is published after)."""
    ledgers = [SpendLedger() for _ in range(3)]
    spooled: list[list[float]] = [[], [], []]
    logged, place, true = Spend(), 0, Spend()
    for number, (process, arm, away, publishes) in enumerate(calls):
        ledgers[process].charge(str(number), 1.0, arm=arm, at=NOON)
        true = true.plus(1.0, 1)
        if away:
            spooled[process].append(1.0)
            ledgers[process].on_logged(str(number), None)
        else:
            logged = logged.plus(1.0 + sum(spooled[process]), 1 + len(spooled[process]))
            spooled[process].clear()
            place += 1
            ledgers[process].on_logged(str(number), (place, 0))
        if publishes:
            for ledger in ledgers:
                ledger.on_published((place, 0), {DAY: logged})
                assert ledger.spent(DAY).usd <= true.usd + 1e-9
    for process, ledger in enumerate(ledgers):
        ledger.on_published((place, 0), {DAY: logged})
        waiting = len(spooled[process])
        assert ledger.spent(DAY) == Spend(pytest.approx(logged.usd + waiting), logged.calls + waiting)  # type: ignore[arg-type]


def test_once_all_is_published_nothing_is_left_of_ones_own_not_even_what_rounding_leaves() -> None:
    ledger = SpendLedger()
    for number, usd in enumerate((0.1, 0.2, 0.3)):
        ledger.charge(str(number), usd, arm="a", at=NOON)
        ledger.on_logged(str(number), (number + 1, 0))
    ledger.on_published((2, 0), {DAY: Spend(0.3, 2)})
    ledger.on_published((3, 0), {DAY: Spend(0.6, 3)})
    assert ledger.spent(DAY) == Spend(0.6, 3)
    assert ledger.spent(DAY + 1) == Spend()
    assert ledger.unpublished_usd("a") == 0.0
