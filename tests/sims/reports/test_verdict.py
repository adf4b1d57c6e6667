import math

import pytest

from highwayman.sims.measures.over_seeds import MeanInterval
from highwayman.sims.reports.standings import Finding, against_baselines, finding, fixed_arm, standings
from highwayman.sims.reports.verdict import Verdict, headline, judge, what_ran
from highwayman.sims.sweeps.results import BASELINE, POLICY, Case, Results, Run
from tests.sims.plots.synthetic import arms, results

FIXED = (0.5, 0.6, 0.7)


def made(
    *, later: float = 0.0, budget_ratio: float = math.nan, world: str = "w", **leads: tuple[float, ...]
) -> Results:
    """Results of policies with these leads over the best fixed arm, seed by seed; `later` is added to the last."""
    rows = [("best fixed", (0.0,) * 3, BASELINE), *((name, lead, POLICY) for name, lead in leads.items())]
    runs = [
        Run(table="t", world=world, policy=name, seed=seed, rounds=100, kind=kind, quality=0.5, cost_usd=0.1,
            value=FIXED[seed] + one, last_value=FIXED[seed] + one + later * (kind == POLICY), budget_ratio=budget_ratio,
            shares=(0.0, 0.1, 0.9, 0.0, 0.0))
        for name, lead, kind in rows
        for seed, one in enumerate(lead)
    ]  # fmt: skip
    return Results(tuple(runs), arms={"t": arms()})


def only(found: Results) -> Case:
    (case,) = found.cases()
    return case


def test_differences_are_paired_by_seed() -> None:
    (one,) = standings(only(made(p=(0.01, 0.02, 0.03))))
    assert one.over_fixed.mean == pytest.approx(0.02)
    # t(2) = 4.3027; s = 0.01 however far apart the seeds are
    assert one.over_fixed.low == pytest.approx(0.02 - 4.3027 * 0.01 / math.sqrt(3), abs=1e-6)
    assert one.value.mean == pytest.approx(0.62)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((0.1, 0.3), Finding.AHEAD), ((-0.3, -0.1), Finding.BEHIND), ((-0.1, 0.3), Finding.UNCLEAR),
     ((0.0, 0.3), Finding.UNCLEAR), ((math.nan, math.nan), Finding.UNCLEAR)],
)  # fmt: skip
def test_an_interval_is_ahead_only_where_all_of_it_is_above_0(ends: tuple[float, float], expected: Finding) -> None:
    assert finding(MeanInterval(0.2, *ends, 3)) is expected


def test_routing_pays_where_the_whole_interval_is_above_0() -> None:
    judged = judge(only(made(good=(0.03, 0.031, 0.032), bad=(-0.03, -0.031, -0.032))))
    assert judged.verdict is Verdict.PAYS
    assert "The best policy is good, which earned 0.631" in judged.why
    assert "more than the best fixed arm (general-32b) by +0.031 [+0.029, +0.033] (3 seeds)" in judged.why
    assert judged.others == "Behind it, so that routing with them does not pay: bad −0.031 [−0.033, −0.029]."


def test_routing_does_not_pay_where_every_policy_is_behind() -> None:
    judged = judge(only(made(bad=(-0.01, -0.011, -0.012), worse=(-0.03, -0.031, -0.032))))
    assert judged.verdict is Verdict.DOES_NOT_PAY
    assert "less than the best fixed arm (general-32b), by −0.011 [−0.013, −0.009]" in judged.why
    assert "would have earned more" in judged.why


def test_routing_is_not_shown_to_pay_where_the_interval_includes_0() -> None:
    judged = judge(only(made(unsure=(-0.02, 0.01, 0.05))))
    assert judged.verdict is Verdict.NOT_SHOWN
    assert "the interval includes 0" in judged.why


def test_a_policy_shown_ahead_counts_though_another_had_the_higher_mean() -> None:
    judged = judge(only(made(wild=(-0.05, 0.05, 0.15), steady=(0.01, 0.011, 0.012))))
    assert judged.verdict is Verdict.PAYS
    assert "best policy is wild" in judged.why
    assert judged.others.startswith("Ahead of the best fixed arm: steady +0.011")


def test_what_learning_cost_is_told_from_what_it_brought() -> None:
    judged = judge(only(made(slow=(-0.01, -0.011, -0.012), later=0.05)))
    assert judged.verdict is Verdict.DOES_NOT_PAY
    assert "In the last quarter of its rounds it is ahead: +0.039" in judged.why
    assert "last quarter" not in judge(only(made(quick=(0.01, 0.011, 0.012), later=0.05))).why


def test_an_overrun_budget_is_said() -> None:
    assert (
        "dearest 500 rounds cost 1.23 times the ceiling" in judge(only(made(p=(0.1, 0.1, 0.1), budget_ratio=1.23))).why
    )
    assert "budget" not in judge(only(made(p=(0.1, 0.1, 0.1), budget_ratio=0.9))).why


def test_one_seed_and_no_rival_show_nothing() -> None:
    judged = judge(only(made(p=(0.4,))))
    assert (judged.verdict, "one seed gives no interval" in judged.why) == (Verdict.NOT_SHOWN, True)
    alone = made(p=(0.4, 0.5, 0.6))
    alone = Results(tuple(run for run in alone.runs if run.kind == POLICY), arms=alone.arms)
    judged = judge(only(alone))
    assert (judged.verdict, "nothing to compare it with" in judged.why) == (Verdict.NOT_SHOWN, True)
    assert fixed_arm(only(alone)) is None


def test_the_headline_counts_cases() -> None:
    pays, does_not = made(p=(0.1, 0.1, 0.1)), made(world="v", p=(-0.1, -0.1, -0.1))
    both = Results(pays.runs + does_not.runs, arms=pays.arms)
    judgements = [judge(case) for case in both.cases()]
    assert headline(judgements) == "Of 2 cases, routing pays in 1 and does not pay in 1."
    assert headline(judgements[1:]) == "Routing does not pay here."
    assert headline(judgements[:1] * 3) == "Routing pays in all 3 cases."
    unsure = judge(only(made(p=(-0.1, 0.1, 0.0))))
    assert headline([unsure, *judgements]) == (
        "Of 3 cases, routing pays in 1, does not pay in 1 and is not shown to pay in 1."
    )


def test_one_sentence_says_what_ran() -> None:
    found = results(tables=("x", "y"), worlds={"calm": 1.0}, policies={"p": 0.1}, seeds=2, bins=1, full=False)
    assert what_ran(found) == (
        "1 policy and 8 baselines on 2 tables (x, y) in 1 world (calm): 4,000 rounds a run, 2 seeds, 36 runs in all."
    )


def test_every_policy_is_compared_with_every_baseline_the_best_first() -> None:
    names, rows = against_baselines(only(results(bins=2, full=False)))
    assert names[0] == "oracle"
    assert {"best fixed", "random"} <= set(names)
    assert rows[0][0] == "lin_ts"
    assert all(len(gaps) == len(names) for _, gaps in rows)
    assert rows[0][1][0].high < 0  # nobody beats the oracle
