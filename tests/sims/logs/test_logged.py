from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from highwayman.sims.logs.logged import LogError, LoggedData
from tests.sims.ope.estimators.logs import log_of, random_log

LOG = log_of([0, 1, 1], [0.5, 0.5, 0.25], [1.0, 0.0, np.nan], penalties=np.array([[0.1, 0.2]] * 3))


def put(name: str, at: Any, value: Any) -> LoggedData:
    """Return the log with one entry changed."""
    changed = getattr(LOG, name).copy()
    changed[at] = value
    return replace(LOG, **{name: changed})


def test_a_log_that_could_have_happened_passes() -> None:
    LOG.check()
    random_log(np.random.default_rng(0)).check()
    LOG.take(slice(0, 0)).check()


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (put("actions", 1, 2), r"row 1: action must be an index of one of 2 arms \(it is 2\)"),
        (put("actions", 1, -1), r"row 1: action must be an index of one of 2 arms \(it is -1\)"),
        (put("eligible", (2, 1), False), r"row 2: action is an arm that was not eligible \(it is 1\)"),
        (put("propensities", 0, np.nan), "row 0: propensity is missing; no estimate can do without it"),
        (put("propensities", 2, 0.0), "row 2: propensity is 0: .* written by a policy without a floor?"),
        (put("propensities", 2, -0.1), r"row 2: propensity must be in \(0, 1\] \(it is -0.1\)"),
        (put("propensities", 2, 1.1), r"row 2: propensity must be in \(0, 1\] \(it is 1.1\)"),
        (put("rewards", 1, 1.5), r"row 1: reward must be in \[0, 1\] or null \(it is 1.5\)"),
        (put("contexts", (1, 0), np.inf), "row 1: context holds a number that is not finite"),
        (put("penalties", (1, 0), np.nan), "row 1: penalties hold a number that is not finite"),
        (put("at", 1, np.nan), "row 1: at must be a finite number"),
        (put("costs_usd", 0, -1.0), r"row 0: cost_usd must be >= 0 or null \(it is -1.0\)"),
        (put("costs_usd", 0, np.inf), r"row 0: cost_usd must be >= 0 or null \(it is inf\)"),
        (replace(LOG, arms=("a", "b", "c")), r"eligible has shape \(3, 2\), 3 rounds of 3 arms have \(3, 3\)"),
        (replace(LOG, rewards=LOG.rewards[:2]), r"rewards has shape \(2,\), 3 rounds of 2 arms have \(3,\)"),
    ],
)
def test_what_could_not_have_happened_is_named_by_row_and_column(broken: LoggedData, says: str) -> None:
    with pytest.raises(LogError, match=says):
        broken.check()


def test_rows_are_counted_from_where_the_chunk_begins() -> None:
    with pytest.raises(LogError, match="row 1001: reward"):
        put("rewards", 1, 2.0).check(first_row=1000)


def test_a_round_earns_its_reward_less_the_penalty_of_the_arm_it_took() -> None:
    assert LOG.utilities() == pytest.approx([0.9, -0.2, np.nan], nan_ok=True)


def test_what_is_taken_apart_is_joined_again() -> None:
    log = random_log(np.random.default_rng(1), n=10)
    joined = LoggedData.joined([log.take(slice(0, 4)), log.take(np.arange(4, 9)), log.take(np.arange(10) == 9)])
    assert joined.n == log.n
    assert joined.d == log.d == 4
    for name in ("contexts", "eligible", "actions", "propensities", "rewards", "penalties", "sessions", "at"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(log, name))


def test_logs_of_other_arms_or_another_encoder_do_not_join() -> None:
    with pytest.raises(LogError, match=r"different arms do not join: \('x', 'y'\) and \('a', 'b'\)"):
        LoggedData.joined([LOG, replace(LOG, arms=("x", "y"))])
    with pytest.raises(LogError, match="different encoder do not join: 'g' and 'f'"):
        LoggedData.joined([LOG, replace(LOG, encoder="g")])
