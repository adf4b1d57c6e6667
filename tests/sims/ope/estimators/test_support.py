"""Where a log can just tell, and where it just cannot any more."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import Estimate
from highwayman.sims.ope.evaluation import evaluate
from tests.sims.ope.estimators.logs import log_of


def uniform(n: int, **columns: object) -> LoggedData:
    return log_of([k % 2 for k in range(n)], [0.5] * n, [1.0] * n, **columns)  # type: ignore[arg-type]


def judged(log: LoggedData, probs: Sequence[float] | Floats = (0.5, 0.5)) -> Estimate:
    target = np.broadcast_to(np.asarray(probs, dtype=np.float64), (log.n, len(log.arms)))
    return evaluate(lambda: [log], lambda rounds: target[: rounds.n])


def test_fifty_rounds_of_its_own_are_enough_and_49_are_not() -> None:
    assert judged(uniform(50)).refused == ()
    assert len(judged(uniform(49)).refused) == 1


def test_a_hundredth_of_all_rounds_is_enough_and_less_is_not() -> None:
    for every, reasons in ((100, 0), (101, 1)):
        n = 60 * every
        rare = np.arange(n) % every == 0
        log = log_of(rare.astype(int).tolist(), np.where(rare, 1 / every, 1 - 1 / every).tolist(), [0.5] * n)
        assert len(judged(log, (0.0, 1.0)).refused) == reasons


def test_one_round_may_carry_a_tenth_of_the_weight_and_no_more() -> None:
    for others, reasons in ((900, 0), (899, 1)):
        propensities = [0.005, *[0.5] * others]
        found = judged(log_of([0] * (others + 1), propensities, [1.0] * (others + 1)))
        assert found.support.max_ratio == 100.0
        assert len(found.refused) == reasons


@pytest.mark.parametrize(
    ("share", "warned", "refused"),
    [(0.01, False, False), (0.02, True, False), (0.05, True, False), (0.06, False, True)],
)
def test_of_choices_that_the_log_could_not_make_a_hundredth_is_nothing_and_a_twentieth_is_warned_of(
    share: float, warned: bool, refused: bool
) -> None:
    log = log_of([k % 2 for k in range(1024)], [0.5] * 1024, [1.0] * 1024, k=3)
    log.eligible[:, 2] = False
    found = judged(log, ((1 - share) / 2, (1 - share) / 2, share))
    assert found.support.unsupported == pytest.approx(share)
    assert (any("not eligible" in what for what in found.warnings), bool(found.refused)) == (warned, refused)


@pytest.mark.parametrize(
    ("sessions", "warning"), [(30, ""), (29, "29 sessions"), (2, "2 sessions"), (1, "one session")]
)
def test_thirty_people_are_enough_for_an_interval_and_fewer_are_warned_of(sessions: int, warning: str) -> None:
    log = uniform(60, sessions=[k % sessions for k in range(60)])
    warnings = [what for what in judged(log).warnings if "session" in what]
    assert [warning in what for what in warnings] == ([True] if warning else [])


@pytest.mark.parametrize(
    ("propensity", "varied", "refused"),
    [
        (0.5 / 1.009, 0.0, False),  # near enough, though it is sure
        (0.5 / 1.02, 0.0, True),
        (0.5 / 0.98, 0.0, True),
        (0.5 / 1.02, 0.5, False),  # two standard errors may be chance
        (0.5 / 1.1, 0.5, True),
    ],
)
def test_a_mean_ratio_is_off_beyond_a_hundredth_and_five_standard_errors(
    propensity: float, varied: float, refused: bool
) -> None:
    log = uniform(4000)
    signs = np.where(np.arange(4000) % 4 < 2, 1.0, -1.0)
    log = replace(log, propensities=propensity / (1.0 + varied * signs))
    found = judged(log)
    assert bool(found.refused) == refused
    assert all("propensities are not what the arms were drawn with" in why for why in found.refused)
    assert not any("whether people say anything" in why for why in found.refused)


def test_where_rewards_are_missing_what_is_said_may_depend_on_the_arm() -> None:
    quiet = replace(uniform(4000), propensities=np.full(4000, 0.4))
    quiet.rewards[::10] = np.nan
    (why,) = judged(quiet).refused
    assert "any number of standard errors from the 1.000 expected" in why
    assert why.endswith("or whether people say anything depends on the arm")


def test_a_mean_ratio_that_is_off_for_want_of_rounds_is_not_laid_to_wrong_propensities_alone() -> None:
    few = judged(replace(uniform(40), propensities=np.full(40, 0.3))).refused
    many = judged(replace(uniform(4000), propensities=np.full(4000, 0.3))).refused
    assert [
        sum("that may be chance; else the propensities are not" in why for why in whys) for whys in (few, many)
    ] == [1, 0]
