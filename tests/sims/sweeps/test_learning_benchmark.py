import numpy as np
import pytest

from benchmarks.learning import cost_problem
from highwayman.sims.tables.table import FullTable


@pytest.mark.parametrize(
    ("costs", "weight", "problem"),
    [
        ([[1.0, np.nan, np.nan], [1.0, 2.0, np.nan]], 0.15, "as the table lacks costs of b, c"),
        ([[np.nan] * 3] * 2, 0.15, "as the table lacks costs of a, b, c"),
        ([[np.nan] * 3] * 2, 0.0, ""),
        ([[1.0, 2.0, 3.0]] * 2, 0.15, ""),
    ],
)
def test_a_cost_weight_that_is_not_run_is_told_with_the_arms_whose_costs_are_missing(
    costs: list[list[float]], weight: float, problem: str
) -> None:
    table = FullTable.from_arrays(("a", "b", "c"), np.full((2, 3), 0.5), cost_usd=np.array(costs))
    assert cost_problem(table, weight) == problem
