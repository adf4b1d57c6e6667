from highwayman.sims.reports.verdict import RoutingVerdict, headline, judge_case, what_ran
from highwayman.sims.sweeps.results import POLICY, Results
from tests.sims.plots.synthetic import results
from tests.sims.reports.leads import made, only

AHEAD, BEHIND, UNSURE = (0.03, 0.031, 0.032), (-0.01, -0.011, -0.012), (-0.02, 0.01, 0.05)


def test_routing_pays_where_the_whole_interval_is_above_0() -> None:
    judged = judge_case(only(made(good=AHEAD, bad=(-0.03, -0.031, -0.032))))
    assert judged.verdict is RoutingVerdict.PAYS
    assert "On average good did best: it earned 0.631" in judged.why
    assert "more than the best fixed arm (general-32b) by +0.031 [+0.029, +0.033] (3 seeds)." in judged.why
    assert judged.others == "Behind: bad."


def test_routing_does_not_pay_where_every_policy_is_behind() -> None:
    judged = judge_case(only(made(bad=BEHIND, worse=(-0.03, -0.031, -0.032))))
    assert judged.verdict is RoutingVerdict.DOES_NOT_PAY
    assert "less than the best fixed arm (general-32b): −0.011 [−0.013, −0.009]" in judged.why
    assert "would have earned more" in judged.why


def test_routing_is_not_shown_to_pay_where_the_interval_includes_0() -> None:
    judged = judge_case(only(made(unsure=UNSURE)))
    assert judged.verdict is RoutingVerdict.NOT_SHOWN
    assert "the interval includes 0" in judged.why


def test_one_policy_that_is_not_clearly_behind_keeps_the_question_open() -> None:
    judged = judge_case(only(made(bad=BEHIND, unsure=(-0.05, 0.01, -0.01))))
    assert judged.verdict is RoutingVerdict.NOT_SHOWN
    assert judged.others == "Not clearly different: unsure."


def test_a_policy_shown_ahead_counts_though_another_had_the_higher_mean() -> None:
    judged = judge_case(only(made(wild=(-0.05, 0.05, 0.15), steady=(0.01, 0.011, 0.012))))
    assert judged.verdict is RoutingVerdict.PAYS
    assert "wild did best" in judged.why
    assert judged.others == "Ahead: steady."


def test_the_best_of_many_does_not_pay_by_an_interval_that_allows_for_itself_alone() -> None:
    hardly = (0.016, 0.02, 0.024)
    assert judge_case(only(made(hardly=hardly))).verdict is RoutingVerdict.PAYS
    crowd = made(hardly=hardly, also=(0.015, 0.019, 0.023), **{f"p{number}": BEHIND for number in range(9)})
    judged = judge_case(only(crowd))
    assert judged.verdict is RoutingVerdict.NOT_SHOWN
    assert "by +0.020 [+0.010, +0.030] (3 seeds), but one of 11 policies may look so by chance." in judged.why
    assert "Ahead, but over budget or perhaps by chance: also." in judged.others


def test_what_learning_cost_is_told_from_what_it_brought() -> None:
    judged = judge_case(only(made(slow=BEHIND, later=0.05)))
    assert judged.verdict is RoutingVerdict.DOES_NOT_PAY
    assert "In the last quarter of its rounds it is ahead: +0.039" in judged.why
    assert "last quarter" not in judge_case(only(made(quick=AHEAD, later=0.05))).why


def test_who_earns_more_by_overrunning_the_budget_does_not_show_that_routing_pays() -> None:
    judged = judge_case(only(made(costs={"p": 0.2}, budget_usd=0.1, p=AHEAD)))
    assert judged.verdict is RoutingVerdict.NOT_SHOWN
    assert judged.why.endswith("It overran its budget: it cost 2.00 times the ceiling.")


def test_a_stretch_above_the_ceiling_is_said_though_the_budget_was_kept() -> None:
    judged = judge_case(only(made(budget_usd=0.1, budget_ratio=1.23, p=AHEAD)))
    assert judged.verdict is RoutingVerdict.PAYS
    assert "its dearest 500 rounds cost 1.23 times the ceiling" in judged.why
    assert "budget" not in judge_case(only(made(budget_usd=0.1, budget_ratio=0.9, p=AHEAD))).why


def test_falling_short_of_an_arm_that_the_budget_rules_out_does_not_speak_against_routing() -> None:
    judged = judge_case(only(made(costs={"best fixed": 0.3}, budget_usd=0.1, p=BEHIND)))
    assert judged.verdict is RoutingVerdict.NOT_SHOWN
    assert "that arm costs 3.00 times the ceiling" in judged.why
    assert "would have earned more" not in judged.why
    assert judge_case(only(made(costs={"best fixed": 0.3}, budget_usd=0.1, p=AHEAD))).verdict is RoutingVerdict.PAYS


def test_one_seed_shows_nothing_and_has_no_interval() -> None:
    for lead in (0.4, -0.4):
        judged = judge_case(only(made(p=(lead,), q=(lead,))))
        assert judged.verdict is RoutingVerdict.NOT_SHOWN
        assert "One seed gives no interval, so nothing is shown" in judged.why
        assert "[" not in judged.why + judged.others
        assert headline([judged]) == "Routing is not shown to pay here."


def test_without_the_best_fixed_arm_there_is_nothing_to_compare_with() -> None:
    found = made(p=(0.4, 0.5, 0.6))
    judged = judge_case(only(Results(tuple(run for run in found.runs if run.kind == POLICY), arms=found.arms)))
    assert (judged.verdict, "nothing to compare it with" in judged.why) == (RoutingVerdict.NOT_SHOWN, True)


def test_the_headline_counts_cases() -> None:
    pays, does_not = made(p=(0.1, 0.1, 0.1)), made(world="v", p=(-0.1, -0.1, -0.1))
    both = Results(pays.runs + does_not.runs, arms=pays.arms)
    judgements = [judge_case(case) for case in both.cases()]
    assert headline(judgements) == "Of 2 cases, routing pays in 1 and does not pay in 1."
    assert headline(judgements[1:]) == "Routing does not pay here."
    assert headline(judgements[:1] * 3) == "Routing pays in all 3 cases."
    unsure = judge_case(only(made(p=(-0.1, 0.1, 0.0))))
    assert headline([unsure, *judgements]) == (
        "Of 3 cases, routing pays in 1, does not pay in 1 and is not shown to pay in 1."
    )


def test_one_sentence_says_what_ran() -> None:
    found = results(tables=("x", "y"), worlds={"calm": 1.0}, policies={"p": 0.1}, seeds=2, bins=1, full=False)
    assert what_ran(found) == (
        "1 policy and 8 baselines on 2 tables (x, y) in 1 world (calm): 4,000 rounds a run, 2 seeds, 36 runs in all."
    )
