import numpy as np
import pytest

from highwayman.sims.simulation.drawing import draw_scenario
from highwayman.sims.simulation.scenario import WorldError
from highwayman.sims.simulation.worlds.budget import Budget
from highwayman.sims.tables.table import FullTable
from tests.sims.simulation.courses import course


def test_the_ceiling_is_given_in_dollars_or_between_the_cheapest_and_the_dearest_arm() -> None:
    assert course(Budget(usd=0.004)).budget_usd == 0.004
    assert course(Budget(share=0.5)).budget_usd == pytest.approx(0.011)
    assert course().budget_usd is None


def test_where_nothing_has_a_price_a_share_is_refused() -> None:
    free = FullTable.from_arrays(("a", "b"), np.full((3, 2), 0.5))
    with pytest.raises(WorldError, match="no arm costs anything"):
        draw_scenario(free, [Budget(share=0.5)], rounds=3, seed=0)


@pytest.mark.parametrize("given", [{}, {"usd": 0.1, "share": 0.5}])
def test_both_or_neither_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="give either usd or share"):
        Budget(**given)
