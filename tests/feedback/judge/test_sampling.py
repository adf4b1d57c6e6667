import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.feedback.judge.sampling import AdmissionLimiter, DailyBudget, pick_judge, should_judge
from highwayman.feedback.judge.settings import JudgeSettings
from tests.feedback.judge.cases import arm

DAY_S = 86_400.0


def test_each_arm_is_judged_at_its_rate_and_a_seed_draws_the_same() -> None:
    settings = JudgeSettings(rate=0.1, rates={"often": 0.5, "never": 0.0})

    def drawn(name: str, seed: int = 0) -> list[bool]:
        rng = np.random.default_rng(seed)
        return [should_judge(name, settings, rng) for _ in range(4000)]

    assert np.mean(drawn("any")) == pytest.approx(0.1, abs=0.02)
    assert np.mean(drawn("often")) == pytest.approx(0.5, abs=0.03)
    assert not any(drawn("never"))
    assert drawn("any", 3) == drawn("any", 3)


def test_nobody_judges_its_own_answers_nor_those_of_the_same_model() -> None:
    small, alias, large = arm("small"), arm("alias", model="org/small"), arm("large")
    assert pick_judge([small, alias, large], [small]) is large
    assert pick_judge([small, alias], [small]) is None
    assert pick_judge([small, large], [arm("other"), large]) is small
    assert pick_judge([], [small]) is None


def test_a_day_of_utc_has_its_dollars_once() -> None:
    now = [20_000 * DAY_S]
    purse = DailyBudget(1.0, lambda: now[0])
    first = purse.reserve(0.9)
    assert first is not None
    assert purse.reserve(0.2) is None
    purse.settle(first, 0.1)
    assert purse.spent_usd == pytest.approx(0.1)
    assert purse.reserve(0.9) is not None
    now[0] += DAY_S
    assert purse.reserve(1.0) is not None


def test_a_call_that_began_yesterday_gives_nothing_back_today() -> None:
    now = [20_000 * DAY_S - 1.0]
    purse = DailyBudget(1.0, lambda: now[0])
    late = purse.reserve(0.5)
    now[0] += 2.0
    assert late is not None
    assert purse.reserve(0.8) is not None
    purse.settle(late, 0.0)
    assert purse.reserve(0.3) is None


def test_a_clock_that_is_set_back_does_not_fill_the_purse() -> None:
    now = [20_000 * DAY_S]
    purse = DailyBudget(1.0, lambda: now[0])
    assert purse.reserve(1.0) is not None
    now[0] -= DAY_S
    assert purse.reserve(0.1) is None


def test_without_a_ceiling_there_is_always_more() -> None:
    purse = DailyBudget(None, lambda: 0.0)
    assert purse.reserve(1e9) is not None
    assert purse.reserve(1e9) is not None


@given(st.lists(st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 1.0), st.booleans()), max_size=40))
def test_what_is_paid_never_passes_the_ceiling_however_calls_overlap(
    calls: list[tuple[float, float, bool]],
) -> None:
    purse, waiting = DailyBudget(1.0, lambda: 0.0), []
    for usd, share, at_once in calls:
        reserved = purse.reserve(usd)
        if reserved is not None:
            waiting.append((reserved, usd * share))
        if at_once and waiting:
            purse.settle(*waiting.pop(0))
    for one in waiting:
        purse.settle(*one)
    assert purse.spent_usd <= 1.0 + 1e-9


def test_a_line_takes_so_many_and_more_once_somebody_left() -> None:
    line = AdmissionLimiter(2)
    assert [line.try_acquire() for _ in range(3)] == [True, True, False]
    line.release()
    assert line.try_acquire()
