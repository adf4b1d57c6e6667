import re
from dataclasses import replace

import pytest

from highwayman.sims.plots.budget import budget
from highwayman.sims.plots.differences import differences
from highwayman.sims.plots.frontier import frontier
from highwayman.sims.plots.learning import learning
from highwayman.sims.plots.ratios import ratios
from highwayman.sims.plots.shares import shares
from highwayman.sims.plots.style import Look
from highwayman.sims.sweeps.results import Baseline, Case, Results
from tests.sims.plots.synthetic import results

WHOLE = results(policies={"lin_ts": 0.05, "softmax": 0.01}, seeds=2, bins=3, budget_usd=0.001)
BARE = replace(WHOLE, curves=(), frontier=(), ratios=())
LOOK = Look(WHOLE.policies())


def only(found: Results) -> Case:
    (case,) = found.cases()
    return case


@pytest.mark.parametrize("draw", [learning, shares, budget, ratios])
def test_a_plot_without_data_is_no_plot(draw: object) -> None:
    assert callable(draw)
    assert draw(only(WHOLE), LOOK) is not None
    assert draw(only(BARE), LOOK) is None


def test_without_a_budget_there_is_nothing_to_track() -> None:
    assert (
        budget(only(replace(WHOLE, runs=tuple(replace(run, budget_usd=float("nan")) for run in WHOLE.runs))), LOOK)
        is None
    )


def test_the_numbers_of_a_learning_curve_are_in_its_description() -> None:
    case = only(WHOLE)
    picture = learning(case, LOOK)
    assert picture is not None
    mean = case.curve("lin_ts")[1].mean(axis=0)
    assert f"lin_ts from {mean[0]:.3f} to {mean[-1]:.3f}" in picture.alt  # bins longer than a tenth: none is averaged
    assert f"best fixed {case.values('best fixed').mean():.3f}" in picture.alt


def test_an_oracle_far_above_does_not_squeeze_the_curves() -> None:
    far = tuple(replace(run, value=5.0) if run.policy == "oracle" else run for run in WHOLE.runs)
    picture = learning(only(replace(WHOLE, runs=far)), LOOK)
    assert picture is not None
    assert ">oracle 5.000 ↑</text>" in picture.svg
    near = learning(only(WHOLE), LOOK)
    assert near is not None
    heights = [re.findall(r'y="([\d.]+)">lin_ts<', one.svg) for one in (picture, near)]
    assert float(heights[0][0]) <= float(heights[1][0])  # at least as high up as with the oracle in sight


def test_a_sweep_at_one_cost_weight_has_a_point_of_its_runs() -> None:
    case = only(replace(WHOLE, frontier=()))
    picture = frontier(case, LOOK)
    assert picture is not None
    quality, cost = (case.values("softmax", column).mean() for column in ("quality", "cost_usd"))
    assert f"softmax {quality:.3f} at ${1000 * cost:.3f}" in picture.alt


def test_a_free_arm_is_drawn() -> None:
    arms = {name: replace(one, cost_usd=(0.0, *one.cost_usd[1:]), hull=()) for name, one in WHOLE.arms.items()}
    picture = frontier(only(replace(WHOLE, arms=arms)), LOOK)
    assert picture is not None
    assert "small-8b 0.520 at $0" in picture.alt
    assert "nan" not in picture.svg


def test_an_oracle_that_did_not_run_is_taken_from_the_table() -> None:
    arms = {name: replace(one, baselines={"oracle": Baseline(0.8, 0.9, 0.001)}) for name, one in WHOLE.arms.items()}
    without = tuple(run for run in WHOLE.runs if run.policy != "oracle")
    picture = frontier(only(replace(WHOLE, runs=without, arms=arms)), LOOK)
    assert picture is not None
    assert ">oracle</text>" in picture.svg


def test_arms_beyond_the_colors_are_folded_into_one() -> None:
    names = [f"arm {number}" for number in range(12)]
    picture = shares(only(results(policies={"p": 0.1}, seeds=1, bins=2, names=names)), Look(("p",)))
    assert picture is not None
    assert ">4 others</text>" in picture.svg
    assert sum(f">{name}</text>" in picture.svg for name in names) == 8


def test_the_effective_sample_size_is_named() -> None:
    picture = ratios(only(WHOLE), LOOK)
    assert picture is not None
    for one in WHOLE.ratios:
        assert f"effective sample size {one.ess:,.0f} of {sum(one.counts):,} rounds" in picture.svg


def test_the_worst_window_of_a_budget_is_in_its_description() -> None:
    picture = budget(only(WHOLE), LOOK)
    assert picture is not None
    worst = only(WHOLE).values("lin_ts", "budget_ratio").max()
    assert f"worst window of any seed {worst:.2f} times" in picture.alt


def test_an_unclear_difference_has_a_hollow_dot() -> None:
    clear = differences(results(policies={"p": 0.3}, seeds=3, bins=2, full=False), Look(("p",)))
    unclear = differences(results(policies={"p": 0.3}, seeds=1, bins=2, full=False), Look(("p",)))
    assert clear is not None
    assert unclear is not None
    assert "#ffffff" not in clear.svg
    assert "#ffffff" in unclear.svg
    assert differences(replace(BARE, runs=tuple(run for run in BARE.runs if run.policy != "best fixed")), LOOK) is None
