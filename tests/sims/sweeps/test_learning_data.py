import sys
from types import ModuleType

import numpy as np
import pytest

from benchmarks import learning, tags
from benchmarks.learning_data import held_out
from highwayman.sims.tables.table import FullTable

TABLE = FullTable.from_arrays(("a", "b"), np.array([[0.0, 1.0]] * 3), prompts=["x", "y", "z"])


def test_features_fitted_on_other_tables_than_the_only_one_are_refused_in_a_line_that_says_what_would_do() -> None:
    with pytest.raises(SystemExit, match="give two tables or more, or --shipped"):
        held_out([TABLE], 0)


@pytest.mark.parametrize("benchmark", [learning, tags])
def test_a_single_table_ends_a_benchmark_of_learning_with_that_line(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "read_table", lambda path: TABLE)
    monkeypatch.setattr(sys, "argv", ["benchmark", "table.parquet"])
    with pytest.raises(SystemExit, match="--shipped"):
        benchmark.main()
