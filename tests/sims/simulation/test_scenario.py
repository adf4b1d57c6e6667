import numpy as np
import pytest

from highwayman.env.cost.objective import Objective
from highwayman.sims.simulation.scenario import WorldError, stationary
from highwayman.sims.simulation.worlds.arm_added import ArmAdded
from highwayman.sims.simulation.worlds.bursts import Bursts
from highwayman.sims.simulation.worlds.delay import Delay
from highwayman.sims.simulation.worlds.missing import Missing
from highwayman.sims.simulation.worlds.price_change import PriceChange
from highwayman.sims.simulation.worlds.thumbs import Thumbs
from highwayman.sims.tables.table import FullTable
from tests.sims.simulation.courses import COSTS, course, table


def test_a_table_is_shuffled_and_again_when_it_is_used_up() -> None:
    rows = stationary(table(), rounds=100, rng=np.random.default_rng(0)).rows
    assert sorted(rows[:40]) == sorted(rows[40:80]) == list(range(40))
    assert not np.array_equal(rows[:40], rows[40:80])


def test_on_a_calm_course_the_quality_is_said_at_once() -> None:
    met = course()
    assert np.array_equal(met.feedback, met.quality)
    assert met.delay_s.max() == 0.0
    assert met.tasks[:5] == tuple("code" if row < 20 else "talk" for row in met.rows[:5])


def test_penalties_are_those_of_production() -> None:
    objective = Objective("auto", 750.0)
    expected = np.tile(objective.penalties(np.array(COSTS)), (3, 1))
    assert course(rounds=3).penalties(objective) == pytest.approx(expected)


def test_an_arm_that_is_not_in_the_pool_carries_nothing_and_lends_its_price_to_nobody() -> None:
    prices = np.tile([0.001, np.nan, 0.021], (10, 1))
    met = course(ArmAdded(arm="large", from_share=0.5), rounds=10).replace(price_usd=prices)
    penalties = met.penalties(Objective("auto", 100.0))
    assert penalties[4].tolist() == pytest.approx([0.001, 0.001, 0.0])
    assert penalties[5].tolist() == pytest.approx([0.001, 0.021, 0.021])


def test_an_arm_is_found_by_name_or_by_what_it_is_best_at() -> None:
    met = course(rounds=40)
    names = ("middle", "best", "worst", "cheapest", "dearest")
    assert [met.column(name) for name in names] == [1, 2, 0, 0, 2]


def test_an_arm_called_best_is_that_arm() -> None:
    named = FullTable.from_arrays(("best", "b"), np.array([[0.1, 0.9]]))
    assert stationary(named, rounds=1, rng=np.random.default_rng(0)).column("best") == 0


def test_an_arm_that_is_not_there_is_refused() -> None:
    with pytest.raises(WorldError, match=r"unknown arm 'larg' \(did you mean 'large'\?\)"):
        course(rounds=3).column("larg")
    free = stationary(FullTable.from_arrays(("a",), np.ones((1, 1))), rounds=1, rng=np.random.default_rng(0))
    with pytest.raises(WorldError, match="no arm is the cheapest one: none has a price"):
        free.column("cheapest")


def test_a_seed_repeats_a_course() -> None:
    worlds = (Thumbs(), Delay())
    assert np.array_equal(course(*worlds, seed=3).feedback, course(*worlds, seed=3).feedback, equal_nan=True)
    assert not np.array_equal(course(*worlds, seed=3).rows, course(*worlds, seed=4).rows)


def test_adding_a_world_leaves_the_noise_of_the_others_alone() -> None:
    alone = course(Thumbs(rate=0.5), Delay())
    among = course(Bursts(), ArmAdded(), PriceChange(), Missing(rate=1.0), Thumbs(rate=0.5), Delay())
    for name in ("rows", "feedback", "delay_s"):
        assert np.array_equal(getattr(alone, name), getattr(among, name), equal_nan=True)


def test_two_worlds_of_a_kind_have_noise_of_their_own() -> None:
    once, twice = course(Delay(mean_s=1.0)).delay_s, course(Delay(mean_s=1.0), Delay(mean_s=1.0)).delay_s
    assert abs(np.corrcoef(once[:, 0], (twice - once)[:, 0])[0, 1]) < 0.1
