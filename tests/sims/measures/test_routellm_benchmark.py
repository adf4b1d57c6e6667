import numpy as np
import pytest

from benchmarks.routellm import measures, report
from benchmarks.routellm_published import PUBLISHED, TABLES
from highwayman.sims.tables.table import FullTable


def a_table() -> FullTable:
    """Ten prompts; the strong arm, the second, is right on five more of them than the weak one."""
    quality = np.column_stack([np.zeros(10), [1.0] * 5 + [0.0] * 5])
    return FullTable.from_arrays(("weak", "strong"), quality, tasks=["mmlu"] * 10)


def test_a_gain_that_is_right_recovers_the_gap_with_half_of_the_calls() -> None:
    table = a_table()
    assert measures(table, table.quality[:, 1]) == pytest.approx((0.75, 0.25, 0.4))
    assert measures(table, -table.quality[:, 1]) == pytest.approx((0.25, 0.75, 0.9))


def test_the_first_line_of_each_benchmark_is_the_best_fixed_arm_by_name_and_the_last_the_papers() -> None:
    table = a_table()
    head, _, first, second, third, *reported = report(table, "mmlu", {"ours": [table.quality[:, 1]]})
    assert head == "mmlu, 10 prompts: quality 0.5000 of the strong arm, 0.0000 of the weak one"
    assert first.split() == ["best", "fixed:", "strong", "1", "at", "every", "call", "100.0%", "100.0%"]
    assert second.split() == ["ours", "0.750", "±", "0.000", "25.0%", "±", "0.0", "40.0%", "±", "0.0"]
    assert third.endswith("table 2:")
    assert reported[-1].split() == ["SW", "ranking,", "arena", "+", "MMLU", "validation", "0.603", "35.40%", "71.55%"]


@pytest.mark.parametrize("task", TABLES)
def test_of_every_router_reported_the_figures_are_whole_and_random_has_half(task: str) -> None:
    random, *routers = PUBLISHED[task]
    assert (random.router, random.training) == ("random", "")
    assert random.apgr == pytest.approx(0.5, abs=0.01)
    assert [line.router for line in routers] == ["BERT", "causal LLM", "matrix factorisation", "SW ranking"] * 2
    assert all(0 < line.cpt_50 < line.cpt_80 < 1 and 0 < line.apgr < 1 for line in routers)
