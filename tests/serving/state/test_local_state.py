import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from highwayman.env.errors import ConfigError
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.learning.publications import Published, VersionStamp
from highwayman.serving.state.local_state import LocalState

FOUND = Published(VersionStamp(7, "me"), Snapshot("5-1", b"policy bytes", b"{}"), at=123.5)


def test_secrets_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    kept = LocalState(tmp_path / "new", "a/b", "l")
    assert kept.secrets() == []
    kept.save_secrets([b"one", b"two"])
    assert LocalState(tmp_path / "new", "a/b", "l").secrets() == [b"one", b"two"]
    assert LocalState(tmp_path / "new", "other", "l").secrets() == []
    (file,) = (tmp_path / "new").iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_whatever_is_kept_is_its_owners_whatever_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        kept = LocalState(tmp_path, "n", "l")
        kept.save_secrets([b"one"])
        kept.save_keys([])
        kept.save_version(FOUND)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("secrets-n.json", "keys-n.jsonl", "policy-n-l.hwym"), 0o600)


def test_the_last_version_is_kept_by_lineage(tmp_path: Path) -> None:
    kept = LocalState(tmp_path, "n", "l")
    assert kept.version() is None
    kept.save_version(FOUND)
    assert LocalState(tmp_path, "n", "l").version() == FOUND
    assert LocalState(tmp_path, "n", "another").version() is None


def test_files_that_cannot_be_used_are_told_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = LocalState(tmp_path, "n", "l")
    kept.save_version(FOUND)
    kept.save_secrets([b"one"])
    for file in tmp_path.iterdir():
        file.write_bytes(b"rubbish")
    assert (kept.version(), kept.secrets()) == (None, [])
    assert "policy-n-l.hwym" in caplog.text
    assert "secrets-n.json" in caplog.text


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="state-dir"):
        LocalState(tmp_path / "file" / "below", "n", "l")


def test_a_later_tally_is_kept_beside_the_version_whose_policy_still_stands(tmp_path: Path) -> None:
    kept = LocalState(tmp_path, "n", "l")
    first = replace(FOUND, policy_digest="p")
    kept.save_version(first)
    size = (tmp_path / "policy-n-l.hwym").stat().st_mtime_ns
    later = Published(VersionStamp(8, "me"), Snapshot("6-1", b"", b'{"a": 1}'), at=124.5, policy_digest="p")
    kept.save_version(later)
    assert (tmp_path / "policy-n-l.hwym").stat().st_mtime_ns == size
    assert kept.version() == replace(later, snapshot=replace(later.snapshot, policy=b"policy bytes"))
    for other in (replace(later, policy_digest="q"), replace(later, snapshot=replace(later.snapshot, position="4-1"))):
        kept.save_version(other)
        assert kept.version() == first


def test_a_version_kept_by_a_release_of_before_is_not_mixed_with_a_tally(tmp_path: Path) -> None:
    kept = LocalState(tmp_path, "n", "l")
    kept.save_version(FOUND)
    kept.save_version(Published(VersionStamp(8, "me"), Snapshot("6-1", b"", b"{}"), at=124.5))
    assert kept.version() == FOUND
