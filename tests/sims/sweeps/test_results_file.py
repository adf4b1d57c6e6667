import math
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.sims.sweeps.results import POLICY, Arms, Bin, Results, ResultsError, RunResult
from highwayman.sims.sweeps.results_file import read_results, write_results
from tests.sims.plots.synthetic import results

SMALL = results(policies={"lin_ts": 0.05, "ucb": 0.0}, seeds=2, bins=3)

numbers = st.floats(allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = {str: texts, int: st.integers(-(2**63), 2**63 - 1), float: numbers}


@st.composite
def some(draw: st.DrawFn) -> Results:
    """Results of one run and its bins, with whatever numbers."""
    shares = draw(st.just(()) | st.tuples(*[st.floats(0, 1)] * 2))
    hints = get_type_hints(RunResult)
    row = {one.name: draw(VALUES[hints[one.name]]) for one in fields(RunResult) if hints[one.name] in VALUES}
    run = RunResult(**{**row, "kind": POLICY, "shares": shares})
    hints = get_type_hints(Bin)
    row = {one.name: draw(VALUES[hints[one.name]]) for one in fields(Bin) if hints[one.name] in VALUES}
    one = Bin(**{**row, "table": run.table, "shares": shares})
    arms = Arms(("a", "b"), (0.1, 0.2), draw(st.tuples(numbers, numbers)), (0.0, 0.0))
    return Results((run,), (one,) * draw(st.integers(0, 1)), {run.table: arms}, manifest={"note": draw(texts)})


@given(some())
@settings(deadline=None, max_examples=40)
def test_what_is_read_is_what_was_written(there: Results) -> None:
    with TemporaryDirectory() as folder:
        write_results(there, Path(folder))
        assert repr(read_results(Path(folder))) == repr(there)  # NaN is not equal to itself, but looks the same


def test_everything_of_a_sweep_comes_back(tmp_path: Path) -> None:
    write_results(SMALL, tmp_path / "deep" / "sweep")
    assert repr(read_results(tmp_path / "deep" / "sweep")) == repr(SMALL)


def test_an_analyst_finds_null_for_unknown_and_the_version(tmp_path: Path) -> None:
    unpriced = replace(SMALL, runs=(replace(SMALL.runs[0], cost_usd=math.nan), *SMALL.runs[1:]))
    write_results(unpriced, tmp_path)
    table = pq.read_table(tmp_path / "runs.parquet")
    assert table["cost_usd"].null_count == 1
    assert table["budget_usd"].null_count == len(SMALL.runs)
    assert table.schema.metadata[b"highwayman.results"] == b"1"
    assert table.schema.field("shares").type == pa.list_(pa.field("element", pa.float64()))


def rewritten(path: Path, table: pa.Table, **metadata: str) -> None:
    names = {name.encode(): value.encode() for name, value in metadata.items()}
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **names}), path)


def test_files_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"runs.parquet: No such file"):
        read_results(tmp_path)
    write_results(SMALL, tmp_path)
    path = tmp_path / "curves.parquet"
    whole, table = path.read_bytes(), pq.read_table(path)
    path.write_bytes(whole[:-20])
    with pytest.raises(ResultsError, match=r"curves.parquet: "):
        read_results(tmp_path)
    rewritten(path, table, **{"highwayman.results": "2"})
    with pytest.raises(ResultsError, match=r"curves.parquet: has version 2 .* this program reads 1"):
        read_results(tmp_path)
    rewritten(path, table.drop_columns("regret"))
    with pytest.raises(ResultsError, match=r"curves.parquet: column 'regret' must be there and hold double"):
        read_results(tmp_path)


def test_tables_of_two_sweeps_are_not_taken_for_one(tmp_path: Path) -> None:
    write_results(SMALL, tmp_path)
    runs = (tmp_path / "runs.parquet").read_bytes()
    write_results(replace(SMALL, manifest={"another": True}), tmp_path)
    (tmp_path / "runs.parquet").write_bytes(runs)
    with pytest.raises(ResultsError, match="of different sweeps"):
        read_results(tmp_path)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    write_results(SMALL, tmp_path)
    with pytest.raises(ResultsError, match="manifest: must hold what JSON can say"):
        write_results(replace(SMALL, manifest={"rng": object()}), tmp_path)
    with pytest.raises(ResultsError, match="runs: there are none"):
        write_results(Results(()), tmp_path)
    assert repr(read_results(tmp_path)) == repr(SMALL)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="file"):
        write_results(SMALL, tmp_path / "file")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["curves.parquet", "file", "runs.parquet"]
