from pathlib import Path

import pytest

from highwayman.env.errors import SnapshotError
from highwayman.feedback.fold.join import Void
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.learning import snapshot_file
from highwayman.feedback.learning.publications import Published, Stamp

FOUND = Published(Stamp(7, "me"), Snapshot("5-1", b"policy bytes", b"{}", (Void("1-0", "4-0"),)), at=123.5)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    snapshot_file.write(tmp_path / "s", FOUND, lineage="l")
    assert snapshot_file.read(tmp_path / "s", lineage="l") == FOUND
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_another_lineages_file_is_refused_by_name(tmp_path: Path) -> None:
    snapshot_file.write(tmp_path / "s", FOUND, lineage="l")
    with pytest.raises(SnapshotError, match="lineage l, this configuration's is m"):
        snapshot_file.read(tmp_path / "s", lineage="m")


@pytest.mark.parametrize("cut", [0, 3, 40, -1])
def test_a_damaged_file_is_refused_and_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "learned.hwym"
    snapshot_file.write(path, FOUND, lineage="l")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SnapshotError, match=r"learned\.hwym"):
        snapshot_file.read(path, lineage="l")


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "inside").write_text("in the way")
    with pytest.raises(OSError, match="directory"):
        snapshot_file.write_whole(folder, b"new")
    assert (folder / "inside").read_text() == "in the way"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
