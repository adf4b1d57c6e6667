import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.errors import ConfigError
from highwayman.sims.tables.table import FullTable, TableError
from highwayman.sims.tables.table_file import read_table, write_table
from highwayman.sims.tables.table_schema import COLUMNS, MEASURES, VERSION_KEY, schema

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
measures = st.just(np.nan) | st.floats(0, allow_infinity=False)


@st.composite
def tables(draw: st.DrawFn) -> FullTable:
    n, k = draw(st.integers(1, 6)), draw(st.integers(1, 4))

    def grid(values: st.SearchStrategy[float]) -> Any:
        return np.array(draw(st.lists(values, min_size=n * k, max_size=n * k))).reshape(n, k)

    keys = draw(st.lists(st.tuples(texts, texts), min_size=n, max_size=n, unique=True))
    datasets, ids = zip(*keys, strict=True)
    said = draw(st.lists(texts, min_size=n, max_size=n))
    tasks = [task or dataset for task, dataset in zip(said, datasets, strict=True)]
    return FullTable(
        prompt_ids=ids,
        prompts=tuple(draw(st.lists(texts, min_size=n, max_size=n))),
        tasks=tuple(tasks),
        arms=tuple(draw(st.lists(texts, min_size=k, max_size=k, unique=True))),
        quality=grid(st.floats(0, 1)),
        datasets=datasets,
        **{name: grid(measures) for name in MEASURES},
    )


SMALL = FullTable.from_arrays(
    ("a", "b"), np.array([[0.5, 1.0], [0.0, 0.25]]), prompts=("x", "y"), cost_usd=np.ones((2, 2))
)


def written(path: Path, **changes: list[Any]) -> Path:
    """Write SMALL with some columns changed, as somebody else would write it."""
    write_table(path, SMALL)
    table = pq.read_table(path).replace_schema_metadata(None)
    for name, values in changes.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    pq.write_table(table, path)
    return path


@given(table=tables())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_to_the_last_bit(table: FullTable, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("table") / "t.parquet"
    write_table(path, table)
    found = read_table(path)
    assert found.fingerprint() == table.fingerprint()
    assert found.arms == table.arms
    assert found.left_out == 0


@given(table=tables())
@settings(max_examples=25, deadline=None)
def test_a_table_says_the_same_as_csv_and_as_json_lines(
    table: FullTable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    write_table(folder / "t.parquet", table)
    rows = pq.read_table(folder / "t.parquet")
    pacsv.write_csv(rows, folder / "t.csv")
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))
    assert read_table(folder / "t.csv").fingerprint() == table.fingerprint()
    assert read_table(folder / "t.jsonl").fingerprint() == table.fingerprint()


def test_a_table_of_many_row_groups_is_read_whole(tmp_path: Path) -> None:
    quality = np.random.default_rng(0).random((40_000, 3))
    table = FullTable.from_arrays(("a", "b", "c"), quality, latency_s=quality * 3)
    write_table(tmp_path / "t.parquet", table)
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups > 1
    assert read_table(tmp_path / "t.parquet").fingerprint() == table.fingerprint()


def test_the_file_says_its_version_and_what_its_columns_mean(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", SMALL)
    found = pq.read_schema(tmp_path / "t.parquet")
    assert found.metadata[VERSION_KEY] == b"1"
    assert found.names == [column.name for column in COLUMNS]
    assert [found.field(column.name).metadata[b"what"].decode() for column in COLUMNS] == [
        one.description for one in COLUMNS
    ]


def test_a_file_of_somebody_elses_with_smaller_types_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {
        "model": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
        "prompt_id": pa.array([7, 7, 8, 8], pa.int32()),
        "prompt": pa.array(["x", "x", "y", "y"], pa.large_string()),
        "quality": pa.array([True, False, True, True]),
        "input_tokens": pa.array([1, None, 3, 4], pa.int16()),
        "cost_usd": pa.array([0.5, float("nan"), 1.5, 2.5], pa.float32()),
        "note": pa.array(["is not read"] * 4),
    }
    pq.write_table(pa.table(columns), path)
    table = read_table(path)
    assert (table.prompt_ids, table.prompts, table.tasks) == (("7", "8"), ("x", "y"), ("", ""))
    assert table.quality.tolist() == [[1, 0], [1, 1]]
    assert np.isnan(table.input_tokens).tolist() == [[False, True], [False, False]]
    assert np.isnan(table.cost_usd).tolist() == [[False, True], [False, False]]


def test_another_column_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    labelled = replace(SMALL, labels={"app": ("mail", "")})
    write_table(path, labelled)
    table = read_table(path, labels=["app"])
    assert table.labels == {"app": ("mail", "")}
    assert table.take(slice(1, 2)).labels == {"app": ("",)}
    assert table.fingerprint() == labelled.fingerprint() != SMALL.fingerprint() == read_table(path).fingerprint()
    for name in ("mood", "model"):
        with pytest.raises(TableError, match=rf"no column '{name}' that tells prompts apart; it has columns .*, app$"):
            read_table(path, labels=[name])
    with pytest.raises(TableError, match="label 'model'"):
        write_table(path, replace(SMALL, labels={"model": ("x", "y")}))


def test_what_a_prompts_first_row_says_counts_whatever_the_order(tmp_path: Path) -> None:
    rows = [("b", "y", 1.0, "code"), ("a", "x", 1.0, None), ("a", "y", 0.0, "prose"), ("b", "x", 0.0, "mail")]
    lines = [dict(zip(("model", "prompt", "quality", "app"), row, strict=True), prompt_id=row[1]) for row in rows]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    table = read_table(tmp_path / "t.jsonl", labels=["app"])
    assert (table.prompts, table.labels) == (("y", "x"), {"app": ("code", "")})


def test_a_quality_of_null_leaves_the_prompt_out(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.parquet", quality=[0.5, None, 0.0, 0.25]))
    assert (table.prompts, table.left_out) == (("y",), 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quality": [0.5, 1.0, float("nan"), 0.2]}, r"row 2: quality must be a number in \[0, 1\], got nan"),
        ({"quality": [0.5, 1.25, 0.1, 0.2]}, r"row 1: quality must be a number in \[0, 1\], got 1.25"),
        ({"quality": ["0.5", "1", "0", "0"]}, "column 'quality' must be numbers, it holds string"),
        ({"cost_usd": [1.0, 1.0, 1.0, -0.5]}, "row 3: cost_usd must be a number >= 0, got -0.5"),
        ({"cost_usd": [1.0, float("inf"), 1.0, 0.5]}, "row 1: cost_usd must be a number >= 0, got inf"),
        ({"input_tokens": [1, 2, -3, 4]}, "row 2: input_tokens must be a number >= 0, got -3.0"),
        ({"output_tokens": [[1], [1], [1], [1]]}, "column 'output_tokens' must be numbers, it holds list"),
        ({"latency_s": [-1.0, 1.0, 1.0, 1.0]}, "row 0: latency_s must be a number >= 0, got -1.0"),
        ({"model": ["a", "b", "a", "a"]}, "row 3: model 'a' stands twice for prompt '1'; the first time in .* row 2"),
        ({"model": ["a", "b", None, "b"]}, "row 2: model is missing"),
        ({"model": [0.5, 0.5, 0.5, 0.5]}, "column 'model' must be text, it holds double"),
        ({"prompt": ["x", None, "y", "y"]}, "row 1: prompt is missing"),
        ({"model": ["a", "b", "c", "d"]}, "no prompt has a quality for each of the models a, b, c, d"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_file_row_and_column(
    tmp_path: Path, changes: dict[str, list[Any]], message: str
) -> None:
    path = written(tmp_path / "bad.parquet", **changes)
    with pytest.raises(TableError, match=rf"bad\.parquet: {message}"):
        read_table(path)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.parquet"
    write_table(path, SMALL)
    found = pq.read_table(path)
    pq.write_table(found.replace_schema_metadata({VERSION_KEY: b"2"}), path)
    with pytest.raises(TableError, match=r"new\.parquet: has schema version 2, this version reads 1"):
        read_table(path)


def test_a_truncated_an_empty_and_a_missing_file_are_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    write_table(whole, SMALL)
    for name, data in {
        "cut.parquet": whole.read_bytes()[:-9],
        "empty.parquet": b"",
        "noise.parquet": b"x" * 99,
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(TableError, match=name):
            read_table(tmp_path / name)
    pq.write_table(schema().empty_table(), tmp_path / "none.parquet")
    with pytest.raises(TableError, match=r"none\.parquet: holds no rows"):
        read_table(tmp_path / "none.parquet")
    with pytest.raises(TableError, match=r"gone\.parquet: No such file"):
        read_table(tmp_path / "gone.parquet")


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rng = np.random.default_rng(0)
    table = FullTable.from_arrays(("a", "b"), rng.random((500, 2)))
    write_table(path, table)
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little")
    found = 0
    for at in rng.integers(4, len(data) - footer - 8, 50):
        damaged = data.copy()
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        try:
            same = read_table(path).fingerprint() == table.fingerprint()
        except TableError as error:
            found += str(error).startswith(f"{path}: ")
        else:
            assert same
    assert found > 40


def test_a_table_that_cannot_be_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(TableError, match=r"t\.parquet: prompt '0', model 'a': quality must be"):
        write_table(path, FullTable.from_arrays(("a",), np.array([[2.0]])))
    with pytest.raises(TableError, match=r"t\.parquet: .*surrogates"):
        write_table(path, FullTable.from_arrays(("a",), np.array([[1.0]]), prompts=("\ud800",)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"gone/t\.parquet: No such file"):
        write_table(tmp_path / "gone" / "t.parquet", SMALL)


def test_a_write_that_fails_midway_leaves_the_old_table_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, SMALL)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TableError, match=r"t\.parquet: No space left on device"):
        write_table(path, FullTable.from_arrays(("a",), np.ones((3, 1))))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_without_pyarrow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'highwayman\[sims\]'"):
        read_table(tmp_path / "t.parquet")
