import math

import numpy as np
import pytest

from highwayman.sims.measures.over_seeds import MeanInterval
from highwayman.sims.sweeps.results import BASELINE, POLICY, Results
from highwayman.sims.sweeps.standings import (
    Finding,
    against_baselines,
    difference,
    finding,
    fixed_arm,
    mean_over_ceiling,
    over_seeds,
    shown_ahead,
    signed,
    standings,
    within_budget,
)
from tests.sims.plots.synthetic import results
from tests.sims.reports.leads import made, only

STEADY = (0.02, 0.021, 0.022)


def test_differences_are_paired_by_seed() -> None:
    (one,) = standings(only(made(p=(0.01, 0.02, 0.03))))
    assert one.over_fixed.mean == pytest.approx(0.02)
    # t(2) = 4.3027; s = 0.01 however far apart the seeds are
    assert one.over_fixed.low == pytest.approx(0.02 - 4.3027 * 0.01 / math.sqrt(3), abs=1e-6)
    assert one.value.mean == pytest.approx(0.62)


def test_a_seed_that_only_one_of_two_ran_with_is_left_out_of_their_difference() -> None:
    case = only(made(p=(0.01, 0.02, 0.9), q=(0.03, 0.04)))
    found = difference(case, "p", "q")
    assert (found.mean, found.n) == (pytest.approx(-0.02), 2)
    assert difference(case, "p", "nobody").n == 0


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((0.1, 0.3), Finding.AHEAD), ((-0.3, -0.1), Finding.BEHIND), ((-0.1, 0.3), Finding.UNCLEAR),
     ((0.0, 0.3), Finding.UNCLEAR), ((math.nan, math.nan), Finding.UNCLEAR)],
)  # fmt: skip
def test_an_interval_is_ahead_only_where_all_of_it_is_above_0(ends: tuple[float, float], expected: Finding) -> None:
    assert finding(MeanInterval(0.2, *ends, 3)) is expected


def test_the_best_mean_stands_first_and_an_unknown_one_last() -> None:
    found = standings(only(made(low=(-0.1,) * 3, unknown=(0.5, math.nan, 0.5), high=(0.1,) * 3)))
    assert [one.name for one in found] == ["high", "low", "unknown"]
    assert found[-1].value.n == 0


def test_of_many_policies_one_that_is_barely_ahead_is_not_shown_to_be() -> None:
    barely = (0.01, 0.02, 0.03)  # 0.02 +- 0.0248 even alone
    clearly = (0.019, 0.02, 0.021)  # 0.02 +- 0.0025 alone, +- 0.0080 as one of eleven
    hardly = (0.016, 0.02, 0.024)  # 0.02 +- 0.0099 alone, +- 0.032 as one of eleven
    others = {f"p{number}": (-0.01, 0.0, 0.01) for number in range(8)}
    assert shown_ahead(only(made(hardly=hardly))) == ("hardly",)
    crowd = only(made(barely=barely, clearly=clearly, hardly=hardly, **others))
    assert {one.name for one in standings(crowd) if one.finding is Finding.AHEAD} == {"clearly", "hardly"}
    assert shown_ahead(crowd) == ("clearly",)


def test_whoever_overran_the_budget_is_not_shown_to_be_ahead() -> None:
    case = only(made(costs={"spender": 0.2}, budget_usd=0.1, spender=STEADY, saver=STEADY))
    assert mean_over_ceiling(case, "spender") == pytest.approx(2.0)
    assert not within_budget(case, "spender")
    assert shown_ahead(case) == ("saver",)


def test_without_a_budget_everything_is_within_it() -> None:
    case = only(made(p=STEADY))
    assert math.isnan(mean_over_ceiling(case, "p"))
    assert within_budget(case, "p")
    assert within_budget(case, "nobody")


def test_a_mean_of_which_one_seed_is_unknown_is_unknown() -> None:
    assert over_seeds(np.array([0.1, math.nan])).n == 0
    assert over_seeds(np.array([])).n == 0
    assert over_seeds(np.array([0.1, 0.3])).mean == pytest.approx(0.2)


def test_every_policy_is_compared_with_every_baseline() -> None:
    found = results(policies={"p": 0.1, "q": -0.1}, seeds=2, bins=1, full=False)
    (case,) = found.cases()
    names, rows = against_baselines(case)
    assert names[0] == "oracle"
    assert set(names) == set(case.names(BASELINE))
    assert [name for name, _ in rows] == ["p", "q"]
    assert all(len(gaps) == len(names) for _, gaps in rows)
    assert rows[0][1][0].high < 0  # nobody beats the oracle


def test_the_best_fixed_arm_is_the_one_its_runs_took() -> None:
    found = made(p=STEADY)
    assert fixed_arm(only(found)) == "general-32b"
    alone = Results(tuple(run for run in found.runs if run.kind == POLICY), arms=found.arms)
    assert fixed_arm(only(alone)) is None


def test_a_difference_has_a_sign_that_is_not_a_hyphen() -> None:
    assert [signed(one) for one in (0.0339, -0.0339, math.nan)] == ["+0.034", "\N{MINUS SIGN}0.034", "–"]
