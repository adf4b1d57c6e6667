import math
from dataclasses import replace

import pytest

from highwayman.sims.sweeps.results import BASELINE, POLICY, Bin, Ratios, Results, ResultsError, RunResult, Setting
from tests.sims.plots.synthetic import arms, results

SMALL = results(policies={"lin_ts": 0.05}, seeds=2, bins=3, full=False)


def run(policy: str, seed: int, value: float, kind: str = POLICY) -> RunResult:
    at = {"table": "t", "world": "w", "policy": policy, "seed": seed}
    return RunResult(**at, rounds=10, kind=kind, value=value, quality=value, cost_usd=math.nan)


def one(*runs: RunResult, curves: tuple[Bin, ...] = ()) -> Results:
    return Results(runs, curves, {"t": arms()})


def test_results_of_a_sweep_fit_together() -> None:
    SMALL.check()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Results(()), "there are none"),
        (one(run("p", 0, 0.5), run("p", 0, 0.6)), r"row 1: 'p' with seed 0 stands twice on \('t', 'w'\)"),
        (one(run("p", 0, 0.5), run("p", 1, 0.6, BASELINE)), "row 1: 'p' is a policy in one row, a baseline in another"),
        (one(run("p", 0, 0.5, "rule")), "row 0: kind must be policy or baseline, got 'rule'"),
        (one(replace(run("p", 0, 0.5), table="x")), "row 0: arms has no table 'x'"),
        (one(replace(run("p", 0, 0.5), shares=(0.5, 0.5))), "row 0: 2 shares, 't' has 5 arms"),
        (
            one(run("p", 0, 0.5), replace(run("p", 1, 0.5), shares=(0.2,) * 5)),
            "row 1: 'p' has shares in some rows only",
        ),
        (replace(one(run("p", 0, 0.5)), arms={"t": replace(arms(), quality=(0.5,))}), "arms of 't'"),
        (replace(one(run("p", 0, 0.5)), frontier=(Setting("t", "w", "p", 0.1, (0.1,), ()),)), "frontier: row 0"),
        (replace(one(run("p", 0, 0.5)), ratios=(Ratios("t", "w", "p", (0.0, 1.0), (3,), 3.0),)), "ratios: row 0"),
    ],
)
def test_what_does_not_fit_is_named(broken: Results, message: str) -> None:
    with pytest.raises(ResultsError, match=message):
        broken.check()


def test_pairs_are_of_seeds_that_both_ran_with_and_know() -> None:
    ours = [run("p", seed, value) for seed, value in ((3, 0.3), (1, 0.1), (2, math.nan))]
    theirs = [run("b", seed, value, BASELINE) for seed, value in ((1, 0.5), (2, 0.6), (4, 0.7), (3, 0.8))]
    (case,) = one(*ours, *theirs).cases()
    found = sorted(zip(*(side.tolist() for side in case.pairs("p", "b")), strict=True))
    assert found == [(0.1, 0.5), (0.3, 0.8)]
    assert case.values("p")[[0, 2]].tolist() == [0.1, 0.3]  # by seed


def test_a_curve_has_the_rounds_that_all_seeds_have() -> None:
    at = {"table": "t", "world": "w", "policy": "p"}
    points = [(1, 20, 0.4), (0, 10, 0.1), (0, 20, 0.2), (0, 30, 0.3), (1, 10, 0.5)]
    bins = tuple(Bin(**at, seed=seed, round=end, value=value) for seed, end, value in points)
    (case,) = one(run("p", 0, 0.5), run("p", 1, 0.5), curves=bins).cases()
    rounds, values = case.curve("p")
    assert (rounds.tolist(), values.tolist()) == ([10, 20], [[0.1, 0.2], [0.5, 0.4]])
    assert case.curve("unheard of")[0].size == 0


def test_a_case_is_a_table_and_a_world() -> None:
    there = results(tables=("b", "a"), worlds={"calm": 1.0, "drift": 0.5}, policies={"p": 0.1}, seeds=1, bins=1)
    cases = there.cases()
    assert [(case.table, case.world) for case in cases] == [
        ("b", "calm"),
        ("b", "drift"),
        ("a", "calm"),
        ("a", "drift"),
    ]
    assert all(
        {(row.table, row.world) for row in [*case.runs, *case.bins]} == {(case.table, case.world)} for case in cases
    )
    assert there.policies() == cases[0].names(POLICY) == ("p",)
