import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.sims.logs.logged import LogError, LoggedData
from highwayman.sims.logs.logged_file import LogFile, write_log
from highwayman.sims.logs.logged_schema import ARMS_KEY, COLUMNS, ENCODER_KEY, VERSION_KEY

ARRAYS = ("contexts", "eligible", "actions", "propensities", "rewards", "costs_usd", "penalties", "sessions", "at")
finite = st.floats(allow_nan=False, allow_infinity=False)


def some(n: int, *, seed: int = 0, arms: tuple[str, ...] = ("a", "b", "c"), encoder: str = "enc") -> LoggedData:
    rng = np.random.default_rng(seed)
    eligible = rng.random((n, len(arms))) < 0.7
    actions = rng.integers(0, len(arms), n).astype(np.intp)
    eligible[np.arange(n), actions] = True
    return LoggedData(
        arms=arms,
        contexts=np.hstack([rng.normal(size=(n, 3)), np.ones((n, 1))]),
        eligible=eligible,
        actions=actions,
        propensities=1 - rng.random(n),
        rewards=np.where(rng.random(n) < 0.5, np.nan, rng.random(n)),
        costs_usd=np.where(rng.random(n) < 0.2, np.nan, rng.random(n)),
        penalties=np.where(eligible, rng.random(eligible.shape), 0.0),
        sessions=rng.integers(-(2**63), 2**63 - 1, n),
        at=1.7e9 + np.arange(n) * 0.1,
        encoder=encoder,
    )


@st.composite
def logs(draw: st.DrawFn) -> LoggedData:
    n, d = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    log = some(n, seed=draw(st.integers(0, 99)), encoder=draw(st.text(st.characters(exclude_categories=["Cs"]))))
    numbers = draw(st.lists(finite, min_size=n * (d + 1), max_size=n * (d + 1)))
    names = draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=3, max_size=3, unique=True))
    rewards = draw(st.lists(st.just(np.nan) | st.floats(0, 1), min_size=n, max_size=n))
    contexts, at = np.array(numbers[n:]).reshape(n, d), np.array(numbers[:n])
    return replace(log, arms=tuple(names), contexts=contexts, at=at, rewards=np.array(rewards))


def assert_same(one: LoggedData, other: LoggedData) -> None:
    assert (one.arms, one.encoder) == (other.arms, other.encoder)
    for name in ARRAYS:
        found, wanted = getattr(one, name), getattr(other, name)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), name
        assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(wanted).tobytes(), name


def changed(path: Path, metadata: dict[bytes, bytes] | None = None, **columns: Any) -> Path:
    """Write a log of six rounds and change its metadata or some columns (by a function of the values, or a column)."""
    write_log(path, [some(6)])
    table = pq.read_table(path)
    for name, change in columns.items():
        at = table.schema.get_field_index(name)
        values = change(table.column(name).to_pylist()) if callable(change) else change
        found = values if isinstance(values, pa.Array) else pa.array(values, table.schema.field(name).type)
        table = table.set_column(at, name, found)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **(metadata or {})})
    pq.write_table(table, path)
    return path


def put(row: int, value: Any) -> Any:
    return lambda values: [*values[:row], value, *values[row + 1 :]]


@given(log=logs(), cut=st.integers(0, 7), rows=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_what_is_written_in_chunks_is_read_to_the_last_bit(
    log: LoggedData, cut: int, rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    assert write_log(path, [log.take(slice(cut)), log.take(slice(cut, None))]) == log.n
    assert_same(LogFile(path).read(), log)
    chunks = list(LogFile(path).chunks(rows))
    assert max(chunk.n for chunk in chunks) <= rows
    assert_same(LoggedData.joined(chunks), log)
    assert LogFile(path).count() == log.n


def test_the_file_says_version_arms_encoder_and_what_its_columns_mean(tmp_path: Path) -> None:
    write_log(tmp_path / "log.parquet", [some(5)])
    found = pq.read_schema(tmp_path / "log.parquet")
    assert {key: found.metadata[key] for key in (VERSION_KEY, ARMS_KEY, ENCODER_KEY)} == {
        VERSION_KEY: b"1",
        ARMS_KEY: b'["a", "b", "c"]',
        ENCODER_KEY: b"enc",
    }
    told = [(field.name, field.metadata[b"what"].decode()) for field in found]
    assert told == [(column.name, column.description) for column in COLUMNS]
    heading = LogFile(tmp_path / "log.parquet").heading()
    assert (heading.arms, heading.encoder) == (("a", "b", "c"), "enc")


def test_small_chunks_are_gathered_and_large_ones_cut_into_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    write_log(path, (some(1_000, seed=seed) for seed in range(60)))
    assert pq.ParquetFile(path).num_row_groups == 2
    write_log(path, [some(120_000)])
    assert pq.ParquetFile(path).num_row_groups == 3
    assert_same(LogFile(path).read(), some(120_000))


def test_a_log_is_read_a_chunk_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    write_log(path, (some(10_000, seed=seed) for seed in range(30)))
    tracemalloc.start()
    for chunk in LogFile(path).chunks(10_000):
        one = sum(getattr(chunk, name).nbytes for name in ARRAYS)
    assert tracemalloc.get_traced_memory()[1] < 6 * one
    tracemalloc.stop()


def test_columns_of_smaller_types_and_more_of_them_are_read(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "log.parquet",
        features=pa.array([[0.5, 1.0]] * 6, pa.large_list(pa.float32())),
        session=pa.array(range(6), pa.int32()),
        arm=pa.array(["a", "b", "c"] * 2).dictionary_encode(),
        eligible=[[True] * 3] * 6,
    )
    pq.write_table(pq.read_table(path).append_column("prompt", pa.array(["x"] * 6)), path)
    log = LogFile(path).read()
    assert (log.contexts.dtype, log.contexts.tolist()) == (np.float64, [[0.5, 1.0]] * 6)
    assert log.sessions.tolist() == list(range(6))
    assert log.actions.tolist() == [0, 1, 2, 0, 1, 2]


def test_sessions_that_have_names_are_told_apart_by_number(tmp_path: Path) -> None:
    names = ["anna", "bert", "anna", "carl", "bert", "anna"]
    for column in (pa.array(names), pa.array(names).dictionary_encode()):
        path = changed(tmp_path / "log.parquet", session=column)
        sessions = LogFile(path).read().sessions
        assert sessions.dtype == np.int64
        assert [sessions.tolist().index(one) for one in sessions] == [0, 1, 0, 3, 1, 0]
        assert LoggedData.joined(list(LogFile(path).chunks(1))).sessions.tolist() == sessions.tolist()


def test_files_of_a_folder_are_one_log(tmp_path: Path) -> None:
    parts = [some(5, seed=1), some(3, seed=2)]
    for name, part in zip("ab", parts, strict=True):
        write_log(tmp_path / f"{name}.parquet", [part])
    assert_same(LogFile(tmp_path).read(), LoggedData.joined(parts))
    assert_same(LogFile([tmp_path / "b.parquet", tmp_path / "a.parquet"]).read(), LoggedData.joined(parts[::-1]))
    assert LogFile(tmp_path).count() == 8


NAN = float("nan")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"propensity": put(4, None)}, "row 4: propensity is missing; no estimate can do without it"),
        ({"propensity": put(2, NAN)}, "row 2: propensity is missing"),
        ({"propensity": put(3, 0.0)}, r"row 3: propensity is 0: .* Was the log written by a policy without a floor\?"),
        ({"propensity": put(0, 1.5)}, r"row 0: propensity must be in \(0, 1\]"),
        ({"arm": put(5, "z")}, "row 5: arm 'z' is none of the file's: a, b, c"),
        ({"arm": put(1, None)}, "row 1: arm is missing"),
        ({"eligible": put(2, [False] * 3)}, "row 2: action is an arm that was not eligible"),
        ({"eligible": put(2, [True] * 2)}, "row 2: eligible has 2 values, not 3"),
        ({"eligible": put(3, [True, None, True])}, "row 3: eligible holds a null"),
        ({"penalties": put(3, [0.0, NAN, 0.0])}, "row 3: penalties hold a number that is not finite"),
        ({"penalties": put(4, [0.0, None, 0.0])}, "row 4: penalties holds a null"),
        ({"penalties": put(5, None)}, "row 5: penalties is missing"),
        ({"features": put(1, [NAN, 0.0, 0.0, 1.0])}, "row 1: context holds a number that is not finite"),
        ({"features": put(4, [0.0, 1.0])}, "row 4: features has 2 values, not 4"),
        ({"features": put(0, None)}, "row 0: features is missing"),
        ({"reward": put(2, -0.1)}, r"row 2: reward must be in \[0, 1\] or null"),
        ({"cost_usd": put(2, -1.0)}, "row 2: cost_usd must be >= 0 or null"),
        ({"at": put(3, NAN)}, "row 3: at must be a finite number"),
        ({"session": put(3, None)}, "row 3: session is missing"),
        ({"session": pa.array([0.5] * 6)}, "column session must hold int64, it holds double"),
        ({"features": pa.array([["x"]] * 6)}, "column features must hold list<double>, it holds list"),
    ],
)
def test_a_round_that_cannot_be_is_named_with_file_row_and_column(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    path = changed(tmp_path / "bad.parquet", **columns)
    with pytest.raises(LogError, match=rf"bad\.parquet: {message}"):
        LogFile(path).read()


def test_rows_are_counted_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = changed(tmp_path / "bad.parquet", propensity=put(5, 0.0), reward=put(0, 0.5))
    chunks = LogFile(path).chunks(2)
    assert next(chunks).n == next(chunks).n == 2
    with pytest.raises(LogError, match=r"bad\.parquet: row 5: propensity is 0"):
        next(chunks)


def test_a_newer_version_a_foreign_file_and_a_missing_column_are_refused(tmp_path: Path) -> None:
    path = changed(tmp_path / "log.parquet", {VERSION_KEY: b"2"})
    with pytest.raises(LogError, match=r"log\.parquet: has schema version 2, this version reads 1"):
        LogFile(path).read()
    with pytest.raises(LogError, match=r"log\.parquet: its metadata must name the arms"):
        LogFile(changed(path, {ARMS_KEY: b"a, b"})).read()
    pq.write_table(pq.read_table(path).drop_columns("propensity"), path)
    with pytest.raises(LogError, match=r"log\.parquet: there is no column propensity"):
        LogFile(path).read()
    pq.write_table(pa.table({"at": [1.0]}), path)
    with pytest.raises(LogError, match=r"log\.parquet: is no bandit log of Highwayman's"):
        LogFile(path).read()


def test_features_of_another_encoder_are_refused(tmp_path: Path) -> None:
    write_log(tmp_path / "a.parquet", [some(2)])
    assert LogFile(tmp_path, encoder="enc").read().n == 2
    with pytest.raises(LogError, match=r"a\.parquet: its features are of encoder 'enc', not 'other'"):
        LogFile(tmp_path, encoder="other").read()
    write_log(tmp_path / "b.parquet", [some(2, encoder="new")])
    with pytest.raises(LogError, match=r"b\.parquet: its features are of encoder 'new', not 'enc'"):
        LogFile(tmp_path).read()


def test_files_with_other_arms_or_features_are_not_one_log(tmp_path: Path) -> None:
    write_log(tmp_path / "a.parquet", [some(2)])
    write_log(tmp_path / "b.parquet", [some(2, arms=("a", "b", "d"))])
    with pytest.raises(LogError, match=r"b\.parquet: its arms are a, b, d, those of .*a\.parquet a, b, c"):
        LogFile(tmp_path).read()
    write_log(tmp_path / "b.parquet", [replace(some(2), contexts=np.ones((2, 2)))])
    with pytest.raises(LogError, match=r"b\.parquet: row 0: features has 2 values, not 4"):
        LogFile(tmp_path).read()


def test_a_truncated_a_damaged_and_a_missing_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    write_log(path, [some(60_000)])
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(LogError, match=r"log\.parquet: Parquet magic bytes not found"):
        LogFile(path).read()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(LogError, match=r"log\.parquet: "):
        LogFile(path).count()
    at = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(1).column(0).data_page_offset + 200
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    chunks = LogFile(path).chunks(50_000)
    assert next(chunks).n == 50_000
    with pytest.raises(LogError, match=r"log\.parquet: row 50000 or a later one: .*CRC"):
        next(chunks)
    with pytest.raises(LogError, match=r"gone\.parquet: No such file"):
        LogFile(tmp_path / "gone.parquet").read()
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogError, match="empty: holds no log"):
        LogFile(tmp_path / "empty").read()


def test_chunks_that_do_not_fit_each_other_or_cannot_be_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    for second, message in [
        (some(2, arms=("a", "b", "d")), "row 3: from here on arms is .* before it was"),
        (some(2, encoder="new"), "row 3: from here on encoder is 'new', before it was 'enc'"),
        (replace(some(2), contexts=np.ones((2, 2))), "row 3: from here on d is 2, before it was 4"),
        (replace(some(2), propensities=np.array([0.5, 0.0])), "row 4: propensity is 0"),
    ]:
        with pytest.raises(LogError, match=rf"log\.parquet: {message}"):
            write_log(path, [some(3), second])
    for nothing in ([], [some(0)]):
        with pytest.raises(LogError, match=r"log\.parquet: there are no rounds"):
            write_log(path, nothing)
    with pytest.raises(LogError, match=r"gone/log\.parquet: No such file"):
        write_log(tmp_path / "gone" / "log.parquet", [some(1)])
    assert list(tmp_path.iterdir()) == []


def test_what_the_chunks_raise_is_passed_on_and_the_old_log_stays(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    write_log(path, [some(3)])

    def breaking() -> Iterator[LoggedData]:
        yield some(60_000)
        raise ValueError("no more")

    with pytest.raises(ValueError, match=r"^no more$"):
        write_log(path, breaking())
    assert_same(LogFile(path).read(), some(3))
    assert list(tmp_path.iterdir()) == [path]


IN_ANOTHER_PROCESS = """
import os, resource, signal, sys
from pathlib import Path
from tests.sims.logs.test_logged_file import some
from highwayman.sims.logs.logged_file import write_log

def chunks():
    yield some(60_000)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    yield some(60_000)

if sys.argv[2] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
write_log(Path(sys.argv[1]), chunks())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file that is being written has a name")
@pytest.mark.parametrize(("fate", "says"), [("killed", ""), ("full", "log.parquet: File too large")])
def test_a_process_that_dies_or_finds_the_disk_full_leaves_nothing_behind(tmp_path: Path, fate: str, says: str) -> None:
    path = tmp_path / "log.parquet"
    write_log(path, [some(3)])
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(path), fate]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.strip().endswith(says)
    assert list(tmp_path.iterdir()) == [path]
    assert_same(LogFile(path).read(), some(3))


def test_weights_and_drop_probabilities_are_read_and_a_log_of_before_has_neither(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "log.parquet", weight=[1.0, 0.1, None, 0.0, 2.0, 1.0], pdrop=[0.0, 0.5, None, 0.0, 0.9, 0]
    )
    log = LogFile(path).read()
    assert log.weights.tolist() == [1.0, 0.1, 1.0, 1.0, 2.0, 1.0]
    assert np.isnan(log.rewards[3]), "a reward of weight 0 was never given"
    assert log.learning_weights().tolist() == pytest.approx([1.0, 0.2, 1.0, 1.0, 20.0, 1.0])
    pq.write_table(pq.read_table(path).drop_columns(["weight", "pdrop"]), path)
    assert LogFile(path).read().learning_weights().tolist() == [1.0] * 6


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"weight": put(2, -1.0)}, r"row 2: weight must be > 0 and finite \(it is -1.0\)"),
        ({"pdrop": put(3, 1.0)}, r"row 3: pdrop must be in \[0, 1\) \(it is 1.0\)"),
        ({"pdrop": put(1, -0.5)}, r"row 1: pdrop must be in \[0, 1\)"),
    ],
)
def test_a_weight_that_cannot_be_is_named(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(LogError, match=rf"bad\.parquet: {message}"):
        LogFile(changed(tmp_path / "bad.parquet", **columns)).read()


MOMENTS = [datetime(2026, 1, 1, 12, 0, second, 250_000, tzinfo=UTC) for second in range(6)]


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.bool_(), pa.float32(), pa.decimal128(3, 1)])
def test_rewards_of_any_kind_of_number_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    rewards = pa.array([1, 0, None, 1, 0, 1]).cast(pa.float64()).cast(kind)
    log = LogFile(changed(tmp_path / "log.parquet", reward=rewards)).read()
    assert log.rewards.tolist() == pytest.approx([1.0, 0.0, np.nan, 1.0, 0.0, 1.0], nan_ok=True)


@pytest.mark.parametrize(
    "kind", [pa.timestamp("ns"), pa.timestamp("us", tz="UTC"), pa.timestamp("ms", tz="Asia/Tokyo")]
)
def test_moments_are_read_as_seconds_since_the_epoch(tmp_path: Path, kind: pa.TimestampType) -> None:
    column = pa.array(MOMENTS, pa.timestamp("us", tz="UTC")).cast(pa.timestamp(kind.unit, tz="UTC")).cast(kind)
    log = LogFile(changed(tmp_path / "log.parquet", at=column)).read()
    assert log.at.tolist() == [moment.timestamp() for moment in MOMENTS]
    seconds = pa.array([int(moment.timestamp()) for moment in MOMENTS])
    assert LogFile(changed(tmp_path / "log.parquet", at=seconds)).read().at.tolist() == seconds.to_pylist()


def test_columns_that_data_frames_make_of_nothing_or_of_the_same_number_are_read(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "log.parquet",
        cost_usd=pa.nulls(6),
        propensity=pa.array([0.5, 0.25] * 3).dictionary_encode(),
        features=pa.array([[2, 1]] * 6, pa.list_(pa.int64(), 2)),
        eligible=pa.array([[True] * 3] * 6, pa.list_(pa.bool_(), 3)),
        arm=pa.array(["a", "b", "c"] * 2, pa.string_view()),
        session=pa.array(["anna", "bert"] * 3, pa.string_view()),
    )
    log = LogFile(path).read()
    assert np.isnan(log.costs_usd).all()
    assert log.propensities.tolist() == [0.5, 0.25] * 3
    assert log.contexts.tolist() == [[2.0, 1.0]] * 6
    assert len(np.unique(log.sessions)) == 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"reward": pa.array(["good"] * 6)}, "column reward must hold double, it holds string"),
        ({"reward": pa.array([1, 2, 0, 1, 0, 1])}, r"row 1: reward must be in \[0, 1\] or null \(it is 2.0\)"),
        ({"cost_usd": pa.array([True] * 6)}, "column cost_usd must hold double, it holds bool"),
        ({"at": pa.nulls(6)}, "column at must hold double, it holds null"),
        ({"propensity": put(3, 5e-324)}, "row 3: propensity is too small to divide by: .* underflowed"),
    ],
)
def test_what_is_no_such_number_is_named(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(LogError, match=rf"bad\.parquet: {message}"):
        LogFile(changed(tmp_path / "bad.parquet", **columns)).read()
