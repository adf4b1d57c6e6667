import dataclasses
import json
import os
import resource
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.errors import ConfigError
from highwayman.env.types import (
    Attempt,
    CascadeStage,
    Context,
    Control,
    ControlKind,
    Decision,
    Feedback,
    Mode,
    Outcome,
    Status,
)
from highwayman.feedback.archive.archive import Archive, ArchiveError
from highwayman.feedback.archive.manifest import ArchiveManifest
from highwayman.feedback.archive.rows import Row
from highwayman.feedback.archive.schema import COLUMNS, LATER, UNREADABLE
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import SCHEMA, Event, decode, encode
from tests.feedback.worlds import decision, outcome, thumb

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.floats(width=64)
finite = st.floats(allow_nan=False, allow_infinity=False)  # what the log takes of an outcome and a feedback
counts = st.integers(-(2**63), 2**63 - 1)
arrays = st.lists(numbers, max_size=5).map(np.array)
details = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | counts | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    size = draw(st.integers(1, 4))
    features = np.array(draw(st.lists(st.floats(width=32), max_size=6)), np.float32).astype(np.float64)
    probs = np.array(draw(st.lists(numbers, min_size=size, max_size=size)))
    action = draw(st.integers(0, size - 1))
    return Decision(
        id=draw(texts),
        tenant=draw(texts),
        at=draw(numbers),
        context=Context(features, draw(texts), draw(counts), draw(st.frozensets(texts, max_size=3))),
        arms=tuple(draw(st.lists(texts, min_size=size, max_size=size))),
        penalties=draw(arrays),
        probs=probs,
        action=action,
        propensity=float(probs[action]),
        policy=draw(texts),
        policy_version=draw(counts),
        objective=draw(texts),
        mode=draw(st.sampled_from(Mode)),
        user=draw(texts),
        prompt=draw(st.none() | texts),
    )


attempts = st.builds(Attempt, texts, texts, st.floats(allow_nan=False), texts, texts)
stages = st.builds(
    CascadeStage, texts, st.dictionaries(texts, finite, max_size=2), finite, finite, st.booleans(), texts, counts,
    counts, st.none() | finite, finite,
)  # fmt: skip
outcomes = st.builds(
    Outcome, texts, numbers, texts, st.sampled_from(Status), prompt_tokens=counts, tokens_in=counts, tokens_out=counts,
    cost_usd=st.none() | finite, ttft_s=st.none() | finite, latency_s=finite, finish_reason=st.none() | texts,
    attempts=counts, tried=st.lists(attempts, max_size=3).map(tuple), tokens_cached=counts, estimated=st.booleans(),
    tools_dropped=st.booleans(), wh=st.none() | st.floats(0, 9), stages=st.lists(stages, max_size=2).map(tuple),
)  # fmt: skip
feedbacks = st.builds(Feedback, texts, texts, numbers, texts, texts, st.none() | finite, weight=finite, user=texts)
controls = st.builds(Control, numbers, st.sampled_from(ControlKind), details)
events: st.SearchStrategy[Event] = st.one_of(decisions(), outcomes, feedbacks, controls)


def bits(value: Any) -> Any:
    """A value that equals another only where every bit of both is the same."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, float):
        return np.float64(value).tobytes()
    if dataclasses.is_dataclass(value):
        return type(value), [bits(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return value


def rows(data: Sequence[bytes], *, since: int = 1) -> list[Row]:
    return [(f"{since + number // 3}-{number % 3}", one, number % 2 == 1) for number, one in enumerate(data)]


def some(count: int, *, since: int = 1) -> list[Row]:
    return rows([encode(thumb(f"d{number}", 1.0)) for number in range(count)], since=since)


def everything(archive: Archive) -> list[Row]:
    return [row for page in archive.read() for row in page]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@given(st.lists(events, min_size=1, max_size=8))
@settings(deadline=None)
def test_what_is_read_is_what_was_put_in_bit_by_bit_and_the_columns_alone_give_it_back(there: list[Event]) -> None:
    with TemporaryDirectory() as folder:
        archive, page = Archive(Path(folder)), rows([encode(event) for event in there])
        path = archive.append(page)
        assert everything(archive) == page
        assert [bits(decode(data)) for _, data, _ in everything(archive)] == [bits(event) for event in there]
        assert pq.read_table(path)["raw"].null_count == len(there)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8))
@settings(deadline=None)
def test_bytes_that_nobody_can_read_are_kept(there: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        archive, page = Archive(Path(folder)), rows(there)
        archive.append(page)
        assert everything(archive) == page


def _decision(**changed: Any) -> bytes:
    """A decision's bytes with fields of types that no encoder of ours writes."""
    fields = {
        "id": "d", "tenant": "t", "at": 1.5, "context": [b"\0\0\x80?", "e", 3, ["x", "y"]], "arms": ["a", "b"],
        "penalties": b"\0" * 16, "probs": b"\0" * 16, "action": 1, "policy": "p", "version": 4, "objective": "auto",
        "mode": "route", "user": "", "prompt": None,
    }  # fmt: skip
    packed: bytes = msgpack.packb([SCHEMA, "d", *{**fields, **changed}.values()])
    return packed


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_decision(at=1), id="an integer for a time"),
        pytest.param(_decision(at=2**64 - 1), id="a large one"),
        pytest.param(_decision(action=True), id="a truth for a number"),
        pytest.param(_decision(version=2**64 - 1), id="a number past int64"),
        pytest.param(_decision(tenant=7, user=None), id="no text"),
        pytest.param(_decision(arms="ab"), id="letters for a list"),
        pytest.param(_decision(arms=["a"]), id="fewer arms than probabilities"),
        pytest.param(_decision(action=-1), id="an index from the end"),
        pytest.param(_decision(context=[b"\0\0\x80?", "e", 3, ["y", "x"]]), id="flags out of order"),
        pytest.param(_decision(context=[b"", "e", 3, ["x", "x"]]), id="a flag twice"),
        pytest.param(_decision(context=[b"", "e", 3, [1, 2]]), id="flags that are numbers"),
        pytest.param(
            msgpack.packb([SCHEMA, "c", 1.0, "erasure", {"decision": b"\xff", "n": float("nan")}]), id="bytes"
        ),
        pytest.param(msgpack.packb([SCHEMA, "f", "f", "d", 1.0, "user", "thumbs", 1, 1.0, ""]), id="a whole value"),
        pytest.param(
            msgpack.packb(
                [SCHEMA, "o", "d", 1.0, "a", "ok", 1, 1, 1, None, None, 1.0, None, [1, [[b"?", 2, 3, 4, 5]], "x", 7]]
            ),
            id="attempts of other types",
        ),
        pytest.param(msgpack.packb([SCHEMA - 1, "f", "of", "an", "older", "version"]), id="another version"),
    ],
)
def test_an_event_the_columns_cannot_give_back_is_kept_as_bytes(archive: Archive, data: bytes) -> None:
    page = [("1-0", data, False), ("1-1", encode(decision("d")), True)]
    archive.append(page)
    assert everything(archive) == page


def test_an_analyst_finds_typed_columns_with_their_meaning(archive: Archive) -> None:
    control = Control(5.0, ControlKind.ERASURE, {"decision": "d", "feedback": []})
    there = [decision("d"), outcome("d", arm="b"), thumb("d", None, user="u"), control]
    archive.append([*rows([encode(event) for event in there]), ("9-0", b"?", False)])
    table = pq.read_table(archive.folder)  # the whole folder, as an analyst would
    made, ended, said, changed, unreadable = table.to_pylist()
    assert table.schema.metadata[b"highwayman.archive"] == b"1"
    assert table.schema.names == [column.name for column in COLUMNS]
    assert all(column.description for column in COLUMNS)
    assert [row["kind"] for row in table.to_pylist()] == ["decision", "outcome", "feedback", "control", UNREADABLE]
    assert (made["id"], made["decision_id"], made["filed_before"], ended["filed_before"]) == ("1-0", "d", False, True)
    assert (made["features"], made["arms"], made["probs"]) == ([0.5, -0.25, 1.0], ["a", "b"], [0.5, 0.5])
    assert (made["action"], made["arm"], made["propensity"], made["mode"]) == (0, "a", 0.5, "route")
    assert (made["flags"], made["prompt"], made["served_arm"]) == (["encoder_timeout"], None, None)
    assert (ended["served_arm"], ended["status"], ended["cost_usd"], ended["arm"]) == ("b", "ok", 0.002, None)
    assert (said["metric"], said["value"], said["user"], said["decision_id"]) == ("thumbs", None, "u", "d")
    assert (changed["control"], json.loads(changed["detail"]), changed["decision_id"]) == (
        "erasure",
        control.detail,
        "d",
    )
    assert (unreadable["raw"], unreadable["decision_id"], unreadable["at"]) == (b"?", None, None)


def test_an_analyst_may_read_a_part_and_the_manifest_as_the_umask_allows(archive: Archive) -> None:
    before = os.umask(0o027)
    try:
        ArchiveManifest(archive).claim("n")
        part = archive.append(some(1))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in archive.folder.iterdir()}
    assert modes == {part.name: 0o640, "_archive.json": 0o640}


def test_the_archive_ends_where_its_newest_part_does_in_numbers(archive: Archive) -> None:
    assert archive.last() == START
    for event_id in ("9-9", "9-10", "10-2"):
        archive.append([(event_id, b"", False)])
    (archive.folder / "events-99-0-notes.parquet").touch()
    assert archive.last() == "10-2"
    assert [row[0] for row in everything(archive)] == ["9-9", "9-10", "10-2"]


def test_reading_goes_on_behind_an_event(archive: Archive) -> None:
    page = some(12)
    archive.append(page[:5])
    archive.append(page[5:])
    for read in range(12):
        assert [row for part in archive.read(page[read][0]) for row in part] == page[read + 1 :]


@pytest.mark.parametrize("parts", [[(0, 6), (4, 9)], [(0, 9), (2, 5), (9, 12)], [(0, 4), (0, 9)]], ids=str)
def test_events_in_two_parts_are_read_once(archive: Archive, parts: list[tuple[int, int]]) -> None:
    page = some(12)
    for start, end in parts:
        archive.append(page[start:end])
    assert everything(archive) == page[: max(end for _, end in parts)]


def test_a_page_out_of_order_or_empty_is_refused_and_nothing_written(archive: Archive) -> None:
    page = some(2)
    for bad in ([], page[::-1], [page[0], page[0]]):
        with pytest.raises(ValueError, match="page"):
            archive.append(bad)
    assert not archive.folder.exists()


def test_a_full_disk_leaves_no_half_a_part(archive: Archive) -> None:
    archive.append(some(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(ArchiveError, match=r"events-2-0-5-0.parquet: File too large"):
            archive.append(some(10, since=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in archive.folder.iterdir()] == ["events-1-0-1-0.parquet"]


def _damaged(good: bytes) -> Iterator[tuple[bytes, str]]:
    yield b"", "size is 0"
    yield b"no Parquet, but long enough to be taken for it", "magic"
    for cut in (len(good) - 1, len(good) // 2, 4):
        yield good[:cut], "events-1-0"
    flipped = bytearray(good)
    flipped[300] ^= 1
    yield bytes(flipped), "events-1-0"


def test_a_damaged_part_is_named(archive: Archive) -> None:
    path = archive.append(some(100))
    for data, said in _damaged(path.read_bytes()):
        path.write_bytes(data)
        with pytest.raises(ArchiveError, match=said) as told:
            everything(archive)
        assert str(path) in str(told.value)


def _rewritten(path: Path, change: Any) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.names.index(name), pa.field(name, values.type), values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.replace_schema_metadata(None), "is no part of an archive"),
        (lambda table: table.replace_schema_metadata({"highwayman.archive": "7"}), "version 7, this version reads 1"),
        (lambda table: table.drop_columns(["probs"]), "column 'probs' is missing"),
        (lambda table: _with(table, "at", pa.array(["x"] * 3)), "column 'at' holds string, not double"),
        (lambda table: _with(table, "kind", pa.array(["feedback", "joke", None])), "row 1: column 'kind' says 'joke'"),
        (lambda table: _with(table, "kind", pa.array([None] * 3, "string")), "row 0: column 'kind' says None"),
        (lambda table: _with(table, "metric", pa.array(["a", "b", None])), "row 2: column 'metric' is empty"),
        (lambda table: _with(table, "id", pa.array(["1-0", "1-1", "9-9"])), "row 2: column 'id': '9-9' does"),
        (lambda table: _with(table, "id", pa.array(["1-0", "1-0", "1-2"])), "row 1: column 'id'"),
        (lambda table: _with(table, "id", pa.array(["soon", "1-0", "1-2"])), "row 0: column 'id': 'soon'"),
        (lambda table: _with(table, "id", pa.array([None, "1-0", "1-2"])), "row 0: column 'id' is empty"),
    ],
)  # fmt: skip
def test_a_part_that_is_not_this_versions_is_refused_by_column_and_row(
    archive: Archive, change: Any, said: str
) -> None:
    path = archive.append(some(3))
    _rewritten(path, change)
    with pytest.raises(ArchiveError, match=said) as told:
        everything(archive)
    assert str(path) in str(told.value)


def test_values_of_no_known_kind_are_refused_by_column_and_row(archive: Archive) -> None:
    path = archive.append(rows([encode(decision("d")), encode(outcome("d"))]))
    _rewritten(path, lambda table: _with(table, "mode", pa.array(["dice", None])))
    with pytest.raises(ArchiveError, match="row 0: column 'mode': 'dice'"):
        everything(archive)


def test_what_is_erased_leaves_its_parts_and_the_others_are_not_touched(archive: Archive) -> None:
    page = some(20_000)
    first, second, third = (
        archive.append(page[:9_000]),
        archive.append(page[9_000:15_000]),
        archive.append(page[15_000:]),
    )
    untouched = second.stat().st_mtime_ns
    going = [page[3][0], page[8_999][0], page[19_999][0]]
    assert archive.remove([*going, "7777777-7"]) == 3
    assert everything(archive) == [row for row in page if row[0] not in going]
    assert archive.remove(going) == 0
    assert (second.stat().st_mtime_ns, archive.last()) == (untouched, page[-1][0])
    assert {path.name for path in archive.folder.glob("*.parquet")} == {first.name, second.name, third.name}


def test_a_part_all_of_which_is_erased_keeps_its_name(archive: Archive) -> None:
    page = some(6)
    archive.append(page[:3])
    archive.append(page[3:])
    assert archive.remove([row[0] for row in page[3:]]) == 3
    assert (everything(archive), archive.last()) == (page[:3], page[-1][0])
    assert pq.read_table(archive.folder).num_rows == 3


def test_nothing_is_erased_from_an_archive_that_is_not_there(archive: Archive) -> None:
    assert archive.remove(["1-0"]) == 0
    assert not archive.folder.exists()


def test_two_do_not_work_in_one_folder_and_what_a_killed_one_left_is_removed(archive: Archive) -> None:
    with archive.exclusive():
        archive.append(some(3))
        with pytest.raises(ArchiveError, match="another export or erasure"), Archive(archive.folder).exclusive():
            pass
        assert archive.remove(["1-0"]) == 1  # its own lock is no obstacle
    (archive.folder / ".events-1-0-1-2.parquet.x1y2z3").write_bytes(b"half")
    with Archive(archive.folder).exclusive():
        assert not list(archive.folder.glob(".events*"))


def test_without_pyarrow_it_is_said_what_to_install(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'highwayman\[parquet\]'"):
        archive.append(some(1))


def test_a_part_of_before_the_attempts_were_kept_is_read_and_rewritten(archive: Archive) -> None:
    page = rows([encode(decision("d")), encode(outcome("d")), encode(thumb("d", 1.0))])
    path = archive.append(page)
    table = pq.read_table(path)
    pq.write_table(table.select([name for name in table.schema.names if name not in LATER]), path)
    archive.check()
    assert everything(archive) == page
    assert archive.remove([page[2][0]]) == 1
    assert everything(archive) == page[:2]


def test_an_analyst_finds_each_attempt_of_a_call(archive: Archive) -> None:
    tried = (Attempt("a", "http://a:1", 0.5, "arms_fault", "answered 401"), Attempt("b", "http://b:1", 1.0, "answered"))
    archive.append(rows([encode(dataclasses.replace(outcome("d", arm="b"), tried=tried, tokens_cached=4))]))
    (row,) = pq.read_table(archive.folder).to_pylist()
    assert [(attempt["arm"], attempt["why"]) for attempt in json.loads(row["tried"])] == [
        ("a", "answered 401"),
        ("b", ""),
    ]
    assert (row["attempts"], row["tokens_cached"], row["estimated"], row["raw"]) == (2, 4, False, None)
