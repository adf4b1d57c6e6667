"""Which lines a test runs, as kept for the mutants."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.lines_by_test import LinesByTest

MODULE = """\
def late(n):
    if n > 900:
        return "late"
    return "early"


def never(n):
    return n
"""


def test_a_branch_that_is_taken_after_hundreds_of_calls_is_among_the_lines_that_a_test_runs(tmp_path: Path) -> None:
    path, written = tmp_path / "module.py", tmp_path / "lines.json"
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("module", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plugin, before = LinesByTest([path], written), sys.gettrace()
    traced = plugin.pytest_runtest_call(SimpleNamespace(nodeid="test_it"))  # type: ignore[arg-type]  # all it reads of it
    next(traced)
    assert {module.late(n) for n in range(1000)} == {"early", "late"}
    with pytest.raises(StopIteration):
        traced.send(None)
    sys.settrace(before)
    plugin.pytest_sessionfinish()
    assert set(json.loads(written.read_text())["lines"]["test_it"][str(path)]) >= {2, 3, 4}
    assert 8 not in json.loads(written.read_text())["lines"]["test_it"][str(path)]
