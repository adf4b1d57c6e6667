from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.cost.objective import ALIAS_WEIGHTS, Objective, most_where_unknown

COSTS = st.lists(st.just(np.nan) | st.floats(0.0, 1.0), min_size=1, max_size=8)
LINEAR = Objective("auto", 1_500.0)  # a tenth of a cent is worth 1.5 points


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_usd": -0.1}, "max_usd must be a number of dollars >= 0, got -0.1"),
        ({"max_usd": np.nan}, "max_usd must be"),
        ({"min_quality": 1.1}, r"min_quality must be in \[0, 1\], got 1.1"),
        ({"min_quality": -0.1}, r"min_quality must be in \[0, 1\], got -0.1"),
        ({"points_per_s": -1.0}, "points_per_s must be a number >= 0, got -1.0"),
    ],
)
def test_limits_out_of_their_range_are_refused_and_those_at_its_ends_are_not(
    limits: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Objective("auto", **limits)
    for quality in (0.0, 1.0):
        assert Objective("auto", max_usd=0.0, min_quality=quality).min_quality == quality


def test_a_penalty_is_points_per_dollar_times_dollars_whatever_else_there_is() -> None:
    assert LINEAR.penalties(np.array([0.0, 0.001, 0.01])) == pytest.approx([0.0, 0.015, 0.15])
    assert LINEAR.penalties(np.array([0.001])) == pytest.approx([0.015])
    assert LINEAR.penalties(np.array([[0.001, 0.01], [0.002, 0.0]])) == pytest.approx(
        np.array([[0.015, 0.15], [0.03, 0.0]])
    )


def test_seconds_and_energy_are_linear_alike() -> None:
    objective = Objective("auto", 0.0, points_per_s=0.5, points_per_wh=2.0)
    usd, seconds, wh = np.array([1.0, 1.0]), np.array([2.0, 10.0]), np.array([0.5, np.nan])
    assert objective.penalties(usd, seconds, wh) == pytest.approx([0.01 + 0.01, 0.05 + 0.01])
    assert objective.penalties(usd) == pytest.approx([0.0, 0.0])


def test_a_free_arm_does_not_switch_cost_off_for_the_others() -> None:
    assert LINEAR.penalties(np.array([0.0, 0.0025])) == pytest.approx([0.0, 0.0375])


@settings(deadline=None)
@given(COSTS)
def test_what_is_unknown_is_never_cheaper_than_what_is_known(costs: list[float]) -> None:
    filled, unknown = most_where_unknown(np.array(costs)), np.isnan(costs)
    known = np.array(costs)[~unknown]
    assert np.array_equal(filled[~unknown], known)
    assert (filled[unknown] == (known.max() if len(known) else 0.0)).all()


def test_zero_points_forget_cost() -> None:
    assert Objective("auto-quality", 0.0).penalties(np.array([1e-6, 1.0, np.nan])).tolist() == [0.0, 0.0, 0.0]


def test_the_aliases_mind_cost_as_their_names_say() -> None:
    assert ALIAS_WEIGHTS["auto-quality"] == 0.0
    assert 0.0 < ALIAS_WEIGHTS["auto"] < ALIAS_WEIGHTS["auto-cheap"]


@pytest.mark.parametrize("points", [-0.1, float("nan"), float("inf")])
def test_points_that_are_no_number_from_zero_up_are_refused(points: float) -> None:
    with pytest.raises(ValueError, match="points_per_usd must be a number >= 0"):
        Objective("mine", points)


def test_linear_in_dollars_a_perfect_predictor_is_on_the_frontier_and_linear_in_their_logarithm_it_is_not() -> None:
    usd = np.array([0.001, 0.01, 0.1])
    quality = np.array([[0.3, 0.5, 0.5], [0.3, 0.5, 0.5], [0.3, 0.53, 0.78]])  # (3 prompts, 3 arms)
    plans = np.array(list(product(range(3), repeat=3)))
    of_plans = quality[np.arange(3), plans].sum(axis=1), usd[plans].sum(axis=1)

    def dominated(choices: npt.NDArray[np.intp]) -> bool:
        reached, paid = quality[np.arange(3), choices].sum(), usd[choices].sum()
        return bool(((of_plans[0] > reached + 1e-9) & (of_plans[1] < paid - 1e-9)).any())

    rates = [0.0, *np.geomspace(1.0, 1e5, 60)]
    assert not any(dominated((quality - Objective("a", rate).penalties(usd)).argmax(axis=1)) for rate in rates)
    in_logarithms = np.log(usd / usd[0]) / np.log(usd[-1] / usd[0])  # the scale that penalties had once
    assert dominated((quality - 0.44 * in_logarithms).argmax(axis=1))
