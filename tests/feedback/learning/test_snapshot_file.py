from pathlib import Path

import pytest

from highwayman.env.errors import SnapshotError
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.fold.rollbacks import VoidedRange
from highwayman.feedback.learning import snapshot_file
from highwayman.feedback.learning.publications import Published, VersionStamp

FOUND = Published(
    VersionStamp(7, "me"), Snapshot("5-1", b"policy bytes", b"{}", (VoidedRange("1-0", "4-0"),)), at=123.5
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    snapshot_file.write_snapshot(tmp_path / "s", FOUND, lineage="l")
    assert snapshot_file.read_snapshot(tmp_path / "s", lineage="l") == FOUND
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_another_lineages_file_is_refused_by_name(tmp_path: Path) -> None:
    snapshot_file.write_snapshot(tmp_path / "s", FOUND, lineage="l")
    with pytest.raises(SnapshotError, match="lineage l, this configuration's is m"):
        snapshot_file.read_snapshot(tmp_path / "s", lineage="m")


@pytest.mark.parametrize("cut", [0, 3, 40, -1])
def test_a_damaged_file_is_refused_and_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "learned.hwym"
    snapshot_file.write_snapshot(path, FOUND, lineage="l")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SnapshotError, match=r"learned\.hwym"):
        snapshot_file.read_snapshot(path, lineage="l")
