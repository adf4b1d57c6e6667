"""What is written whole, or not at all."""

from pathlib import Path

import pytest

from highwayman.env.atomic_write import write_atomically


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "inside").write_text("in the way")
    with pytest.raises(OSError, match="directory"):
        write_atomically(folder, b"new")
    assert (folder / "inside").read_text() == "in the way"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
