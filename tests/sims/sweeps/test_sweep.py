from dataclasses import replace

import pytest

from highwayman.sims.simulation.scenario import WorldError
from highwayman.sims.sweeps.dial import dial_settings
from highwayman.sims.sweeps.machines import Machines
from highwayman.sims.sweeps.plan import BASELINES
from highwayman.sims.sweeps.results import BASELINE, Results
from highwayman.sims.sweeps.sweep import sweep
from tests.sims.sweeps.small import plan, prepared, swept, table

WORLDS = ("calm", "Thumbs:rate=0.5+Delay:mean_s=20")
WHOLE = plan("LinTS", "Uniform", worlds=WORLDS, cost_weights=(0.15, 0.5), baselines=BASELINES)
READY = prepared(table(40), WHOLE)
FOUND = swept(WHOLE, READY, manifest={"note": "as it is"})


def same(one: Results, other: Results) -> bool:
    return repr(one) == repr(other)  # NaN is not equal to itself, but looks the same


def test_results_are_the_same_to_the_last_bit_when_they_are_computed_again_and_by_two_processes() -> None:
    assert same(swept(WHOLE, READY, manifest={"note": "as it is"}), FOUND)
    assert same(swept(WHOLE, READY, jobs=2, manifest={"note": "as it is"}), FOUND)


def test_there_is_a_run_of_every_policy_and_baseline_for_every_world_and_seed() -> None:
    expected = {
        (world, policy, seed)
        for world in WORLDS
        for seed in range(2)
        for policy in ("LinTS", "Uniform", *(name.replace("_", " ") for name in BASELINES))
    }
    assert {(run.world, run.policy, run.seed) for run in FOUND.runs} == expected
    assert len(FOUND.runs) == len(expected)
    assert {(bin.world, bin.policy, bin.seed) for bin in FOUND.curves} == expected
    assert len(FOUND.curves) == 4 * len(expected)
    assert FOUND.manifest == {"note": "as it is"}
    assert FOUND.arms["t"] == READY.arms(dial_settings(READY.table, WHOLE)[0].objective)


def test_a_policys_runs_do_not_depend_on_what_else_runs() -> None:
    alone = swept(plan("Uniform", worlds=WORLDS[1:], baselines=()), READY)
    mine = [run for run in FOUND.runs if run.policy == "Uniform" and run.world == WORLDS[1]]
    assert repr([run for run in alone.runs if run.policy == "Uniform"]) == repr(mine)
    curves = [bin for bin in FOUND.curves if bin.policy == "Uniform" and bin.world == WORLDS[1]]
    assert repr([bin for bin in alone.curves if bin.policy == "Uniform"]) == repr(curves)


def test_later_seeds_can_be_run_apart_and_are_the_same() -> None:
    second = swept(replace(WHOLE, seeds=1, first_seed=1), READY)
    assert repr(second.runs) == repr(tuple(run for run in FOUND.runs if run.seed == 1))


def test_the_first_cost_weight_is_reported_and_all_of_them_make_the_frontier() -> None:
    again = swept(replace(WHOLE, cost_weights=(0.15,)), READY)
    assert repr(again.runs) == repr(FOUND.runs)
    assert again.frontier == ()
    turned = swept(replace(WHOLE, cost_weights=(0.5, 0.15)), prepared(table(40), WHOLE))
    assert turned.runs != FOUND.runs
    assert sorted(turned.frontier, key=repr) == sorted(FOUND.frontier, key=repr)
    assert {(one.world, one.policy, one.cost_weight) for one in FOUND.frontier} == {
        (world, policy, weight) for world in WORLDS for policy in ("LinTS", "Uniform") for weight in (0.15, 0.5)
    }
    for one in FOUND.frontier:
        runs = [run for run in FOUND.runs if (run.world, run.policy) == (one.world, one.policy)]
        if one.cost_weight == 0.15:
            assert one.cost_usd == tuple(run.cost_usd for run in runs)
            assert one.quality == tuple(run.quality for run in runs)


def test_importance_ratios_are_of_the_rounds_of_all_seeds() -> None:
    assert [(one.world, one.policy) for one in FOUND.ratios] == [
        (world, policy) for world in WORLDS for policy in ("LinTS", "Uniform")
    ]
    assert {sum(one.counts) for one in FOUND.ratios} == {2 * 80}


def test_an_effective_sample_size_is_pooled_over_the_seeds() -> None:
    found = swept(plan("Fixed:arm=small", "Uniform", floor=0.6, baselines=()), READY)
    often, seldom = (1 / 3) / 0.6, (1 / 3) / 0.2  # ratios of the arm that is liked, and of the others
    liked = sum(round(80 * run.shares[0]) for run in found.runs if run.policy == "Fixed:arm=small")
    total = liked * often + (160 - liked) * seldom
    squares = liked * often**2 + (160 - liked) * seldom**2
    fixed, even = found.ratios
    assert fixed.ess == pytest.approx(total**2 / squares)
    assert even.ess == pytest.approx(160.0)


def test_each_table_has_its_own_runs() -> None:
    by = plan("Uniform")
    other = prepared(table(30), by, name="other")
    both = swept(by, prepared(by=by), other)
    assert [case.table for case in both.cases()] == ["t", "other"]
    assert repr(tuple(run for run in both.runs if run.table == "other")) == repr(swept(by, other).runs)


def test_progress_is_told_after_each_run_and_best_fixed_runs_without_being_asked_for() -> None:
    told: list[tuple[int, int]] = []
    by = plan("Uniform", baselines=())
    found = sweep(by, [prepared(by=by)], machines=Machines(), progress=lambda *runs: told.append(runs), manifest={})
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]  # two seeds of the policy, and of the baselines together
    assert {run.policy for run in found.runs if run.kind == BASELINE} == {"best fixed", "oracle"}


def test_a_world_that_does_not_fit_a_table_is_told_as_it_is() -> None:
    with pytest.raises(WorldError, match="unknown arm 'nosuch'"):
        swept(plan("Uniform", worlds=("ArmRemoved:arm=nosuch",)))
