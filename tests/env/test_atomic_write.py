"""What is written whole, or not at all."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from highwayman.env.atomic_write import atomic_writer, write_atomically

WAYS = pytest.mark.parametrize("nameless", [True, False], ids=["nameless", "hidden"])


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def without_nameless_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "inside").write_text("in the way")
    with pytest.raises(OSError, match="directory"):
        write_atomically(folder, b"new")
    assert (folder / "inside").read_text() == "in the way"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@WAYS
@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("private", "mode"), [(False, 0o644), (True, 0o600)])
def test_a_private_file_is_its_owners_from_the_first_byte_and_others_get_the_umasks_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nameless: bool, private: bool, mode: int
) -> None:
    if not nameless:
        without_nameless_files(monkeypatch)
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o666)  # what an old file allowed does not stand
    with atomic_writer(path, private=private) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
        file.write(b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)
    assert list(tmp_path.iterdir()) == [path]


@WAYS
def test_until_the_end_the_old_file_stands_and_an_error_leaves_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nameless: bool
) -> None:
    if not nameless:
        without_nameless_files(monkeypatch)
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def write_half() -> None:
        with atomic_writer(path) as file:
            file.write(b"new")
            file.flush()
            assert path.read_bytes() == b"old"
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@WAYS
def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nameless: bool
) -> None:
    if not nameless:
        without_nameless_files(monkeypatch)
    path, synced, sync = tmp_path / "file", [], os.fsync

    def noted(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append(("folder" if is_folder else "file", path.exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    write_atomically(path, b"new")
    assert synced == [("file", False), ("folder", True)]


@WAYS
def test_two_that_write_one_file_at_once_do_not_meet_and_the_last_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nameless: bool
) -> None:
    if not nameless:
        without_nameless_files(monkeypatch)
    path = tmp_path / "file"
    with atomic_writer(path) as last:
        last.write(b"last")
        with atomic_writer(path) as first:
            first.write(b"first")
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"last"
    assert list(tmp_path.iterdir()) == [path]
