import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import highwayman
from highwayman.sims.sweeps.manifest import code_digest, files_digest, manifest
from highwayman.sims.sweeps.results_file import read_results, write_results
from tests.sims.sweeps.small import plan, prepared, swept, table

BY = plan()


def made(*tables: Any, by: Any = BY, at: str = "today") -> dict[str, Any]:
    there = tables or (prepared(by=by),)
    return manifest(by, there, command="highwayman simulate --data t.parquet", at=at, data={"t": "t.parquet"})


def test_the_same_sweep_has_the_same_manifest_but_for_when_it_was_made() -> None:
    first, again = made(at="today"), made(at="tomorrow")
    assert first.pop("made") == "today"
    assert again.pop("made") == "tomorrow"
    assert first == again


def test_another_plan_or_another_table_is_another_manifest() -> None:
    changed = [
        made(by=replace(BY, seeds=3)),
        made(by=replace(BY, worlds=("Thumbs",))),
        made(prepared(table(61))),
        made(prepared(name="other")),
        made(prepared(), prepared(table(61), name="other")),
        made(prepared(replace(table(), prompts=("another", *table().prompts[1:])))),
    ]
    told = [json.dumps(one, sort_keys=True) for one in [made(), *changed]]
    assert len(set(told)) == len(told)


def test_it_says_what_was_run_on_what() -> None:
    bare = prepared(replace(table(priced=False), left_out=3))
    found = made(bare)
    assert found["tables"]["t"] == {
        "source": "t.parquet", "sha256": bare.digest, "prompts": 60, "left_out": 3,
        "arms": ["small", "middle", "large"], "without": dict(bare.missing),
    }  # fmt: skip
    assert list(bare.missing) == ["cheapest"]
    assert found["plan"]["policies"] == ["LinTS"]
    assert found["encoder"] == bare.fingerprint
    assert found["code"] == {"highwayman": highwayman.__version__, "sha256": code_digest()}


def test_it_comes_back_from_the_disk_as_it_was(tmp_path: Path) -> None:
    found = made()
    write_results(swept(BY, manifest=found), tmp_path)
    assert read_results(tmp_path).manifest == found


def test_the_code_digest_is_of_every_python_file_of_ours_and_no_other() -> None:
    sources: dict[str, bytes] = {}
    for root in highwayman.__path__:
        for folder, _, names in os.walk(root, followlinks=True):
            here = Path(folder)
            for name in names:
                if name.endswith(".py"):
                    sources[(here / name).relative_to(root).as_posix()] = (here / name).read_bytes()
    assert {"__init__.py", "bandit/policies/lin_ts.py", "sims/sweeps/manifest.py", "serving/cli/main.py"} <= set(
        sources
    )
    expected = hashlib.sha256()
    for path in sorted(sources):
        expected.update(f"{path} {len(sources[path])}\n".encode() + sources[path])
    assert code_digest() == expected.hexdigest()


def test_the_digest_of_files_changes_with_a_name_a_byte_and_their_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    found = files_digest([one, two])
    assert files_digest([one, two]) == found
    assert files_digest([two, one]) != found
    two.write_bytes(b"3")
    assert files_digest([one, two]) != found
    two.write_bytes(b"2")
    assert files_digest([one, two.rename(tmp_path / "three")]) != found
    with pytest.raises(OSError, match="two"):
        files_digest([two])
