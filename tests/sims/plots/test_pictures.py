import re
from dataclasses import replace

import pytest

from highwayman.sims.plots.budget import budget
from highwayman.sims.plots.differences import differences, how_to_read
from highwayman.sims.plots.frontier import frontier
from highwayman.sims.plots.learning import learning
from highwayman.sims.plots.ratios import ratios
from highwayman.sims.plots.shares import shares
from highwayman.sims.plots.style import Look, Picture
from highwayman.sims.sweeps.results import BaselineResult, Case, Results
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
    arms = {
        name: replace(one, baselines={"oracle": BaselineResult(0.8, 0.9, 0.001)}) for name, one in WHOLE.arms.items()
    }
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
        assert f">{one.ess:,.0f} of {sum(one.counts):,} rounds ({one.ess / sum(one.counts):.0%})</text>" in picture.svg


def test_the_worst_window_of_a_budget_is_in_its_description() -> None:
    picture = budget(only(WHOLE), LOOK)
    assert picture is not None
    worst = only(WHOLE).values("lin_ts", "budget_ratio").max()
    assert f"worst window of any seed {worst:.2f} times" in picture.alt


def lead(found: Results) -> Picture:
    (picture,) = differences(found.cases(), Look(found.policies()))
    assert picture is not None
    return picture


def test_an_unclear_difference_has_a_hollow_dot() -> None:
    clear = lead(results(policies={"p": 0.3}, seeds=3, bins=2, full=False))
    unclear = lead(results(policies={"p": 0.3}, seeds=1, bins=2, full=False))
    assert "fill: var(--card)" not in clear.svg
    assert "fill: var(--card)" in unclear.svg
    assert "95%" not in how_to_read(1)


def test_without_the_best_fixed_arm_there_is_no_picture_of_differences() -> None:
    without = replace(BARE, runs=tuple(run for run in BARE.runs if run.policy != "best fixed"))
    assert differences(without.cases(), LOOK) == [None]


def test_all_differences_are_to_one_scale() -> None:
    found = results(worlds={"calm": 1.0, "drift": 0.1}, policies={"p": 0.3, "q": 0.1}, seeds=3, bins=2, full=False)
    one, other = differences(found.cases(), Look(found.policies()))
    assert one is not None
    assert other is not None
    ticks = [
        re.findall(r">([+\N{MINUS SIGN}]?[\d.]+)</text>", picture.svg.partition("best fixed")[0])
        for picture in (one, other)
    ]
    assert ticks[0] == ticks[1] != []


def test_a_policy_far_behind_does_not_squeeze_the_others() -> None:
    near = {"p": 0.05, "q": 0.04, "r": 0.03}
    far = lead(results(policies={**near, "far": -3.0}, seeds=3, bins=2, full=False))
    ticks = [
        abs(float(one.replace("\N{MINUS SIGN}", "-")))
        for one in re.findall(r">([+\N{MINUS SIGN}]\d\.\d+)</text>", far.svg)
    ]
    assert sorted(ticks)[-1] > 2.0  # its value is written
    assert max(one for one in ticks if one < 2.0) < 0.2  # no tick is out there
    curves = learning(only(results(policies={**near, "far": -3.0}, seeds=3, bins=4)), Look((*near, "far")))
    assert curves is not None
    assert re.search(r">far \N{MINUS SIGN}\d\.\d{3} ↓</text>", curves.svg)


def test_few_policies_are_named_beside_their_points_and_many_in_a_list() -> None:
    few, many = ({f"p{number}": 0.05 - 0.01 * number for number in range(count)} for count in (4, 5))
    for policies, listed in ((few, False), (many, True)):
        picture = frontier(only(results(policies=policies, seeds=2, bins=2)), Look(tuple(policies)))
        assert picture is not None
        places = {re.search(rf'x="([\d.]+)" y="[\d.]+">{name}<', picture.svg).group(1) for name in policies}  # type: ignore[union-attr]
        assert (len(places) == 1) is listed


def test_of_many_arms_those_on_the_hull_have_names() -> None:
    names = [f"arm {number}" for number in range(30)]
    case = only(results(policies={"p": 0.1}, seeds=1, bins=2, names=names))
    picture = frontier(case, Look(("p",)))
    assert picture is not None
    shown = {name for name in names if f">{name}</text>" in picture.svg}
    assert set(names[:5]) <= shown
    assert len(shown) == 12
    assert "those on the line and those taken most have names" in picture.caption


def test_the_hull_bends_where_the_scale_is_logarithmic() -> None:
    """Half of each of two arms costs their mean, which on a logarithmic scale is not halfway."""
    arms = {name: replace(one, hull=((0.00004, 0.52), (0.0042, 0.74))) for name, one in WHOLE.arms.items()}
    picture = frontier(only(replace(WHOLE, arms=arms)), LOOK)
    assert picture is not None
    dashed = re.findall(
        r'<path d="M ([\d. ]+)L? ?([\d. ]*)"[^>]*style="[^"]*stroke-dasharray[^"]*var\(--quiet\)', picture.svg
    )
    (points,) = (list(map(float, f"{start} {rest}".split())) for start, rest in dashed)
    x, y = points[::2], points[1::2]
    middle = len(x) // 2
    assert y[middle] == pytest.approx((y[0] + y[-1]) / 2, abs=0.2)
    assert x[middle] > x[0] + 0.8 * (x[-1] - x[0])


def test_a_world_that_may_change_the_arms_is_said_not_to_be_in_them() -> None:
    calm, drift = results(worlds={"calm": 1.0, "drift": 1.0}, policies={"p": 0.1}, seeds=2, bins=2).cases()
    captions = [picture.caption for case in (calm, drift) if (picture := frontier(case, Look(("p",)))) is not None]
    assert ["what the world changes is not in them" in caption for caption in captions] == [False, True]


def test_bands_of_the_best_five_are_drawn_and_the_caption_says_so() -> None:
    policies = {f"p{number}": 0.05 - 0.01 * number for number in range(7)}
    picture = learning(only(results(policies=policies, seeds=3, bins=4)), Look(tuple(policies)))
    assert picture is not None
    assert "bands the 95% intervals of the 5 best" in picture.caption
    assert len(re.findall(r"fill-opacity: 0.14", picture.svg)) == 10  # of values and of regrets


def test_the_best_fixed_arm_is_drawn_as_it_went_where_that_is_known() -> None:
    (case,) = WHOLE.cases()
    curve = [replace(one, policy="best fixed") for one in case.bins if one.policy == "softmax"]
    known = learning(only(replace(WHOLE, curves=(*WHOLE.curves, *curve))), LOOK)
    unknown = learning(case, LOOK)
    assert known is not None
    assert unknown is not None
    assert "but best fixed as it went" in known.caption
    assert "as it went" not in unknown.caption
