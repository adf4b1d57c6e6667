"""The run over mutants, on a tree of one module whose tests notice some."""

import os
import subprocess
import sys
from pathlib import Path

from scripts.mutants import Coverage
from scripts.mutations import Mutation

ROOT = Path(__file__).parents[2]

MODULE = """\
def loud(word):
    return word * 2


def until(end):
    while end > 0:
        end -= 1
    return end
"""
TESTS = """\
from highwayman.room import sums


def test_loud():
    assert sums.loud("") == ""
"""


def test_survivors_are_told_with_their_lines_and_what_no_test_runs_is_none_that_was_noticed(tmp_path: Path) -> None:
    for name, text in {
        "src/highwayman/__init__.py": "",
        "src/highwayman/room/__init__.py": "",
        "src/highwayman/room/sums.py": MODULE,
        "tests/src/highwayman/room/test_sums.py": TESTS,
        "pytest.ini": "[pytest]\naddopts = --import-mode=importlib\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    run = subprocess.run(
        [sys.executable, "-m", "scripts.mutants", "--count", "99", "src/highwayman/room/sums.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *_, endings, share = run.stdout.splitlines()
    assert endings == "5 not run, 1 noticed, 1 survived"
    assert share == "not noticed: 6 of 7 (85.7%)"
    assert "survived: src/highwayman/room/sums.py:2 constant (1 tests)\n    -    return word * 2\n    +" in run.stdout
    assert (tmp_path / "src/highwayman/room/sums.py").read_text() == MODULE


def mutant(line: int, *, in_function: bool = True) -> Mutation:
    return Mutation("room/a.py", "sign", line, line + 1, in_function, "")


def test_a_mutant_is_tried_against_the_tests_that_run_its_line_its_mirror_first_and_no_longer_than_is_said() -> None:
    lines = {
        "tests/room/test_a.py::slow": {("room/a.py", 5)},
        "tests/test_b.py::quick": {("room/a.py", 6)},
        "tests/test_b.py::elsewhere": {("room/a.py", 9), ("room/b.py", 5)},
        "tests/test_c.py": {("room/a.py", 5)},  # in a set-up that its tests share
    }
    seconds = {
        "tests/room/test_a.py::slow": 3.0, "tests/test_b.py::quick": 0.1, "tests/test_b.py::elsewhere": 0.1,
        "tests/test_c.py::first": 1.0, "tests/test_c.py::second": 1.0,
    }  # fmt: skip
    coverage = Coverage({name: frozenset(pairs) for name, pairs in lines.items()}, seconds)
    of_line_5 = [
        "tests/room/test_a.py::slow", "tests/test_b.py::quick", "tests/test_c.py::first", "tests/test_c.py::second",
    ]  # fmt: skip
    assert coverage.tests(mutant(5), 99.0) == of_line_5
    assert coverage.tests(mutant(5), 3.05) == of_line_5[:2]
    assert coverage.tests(mutant(7), 99.0) == []
    assert set(coverage.tests(mutant(1, in_function=False), 99.0)) == set(seconds)


def test_tests_that_take_long_stand_apart_from_the_others() -> None:
    coverage = Coverage({}, {"a": 0.5, "b": 3.0, "c": 1.0, "d": 9.0})
    assert coverage.quick_and_slow(["b", "a", "c"]) == ((["a", "c"], 1.5), (["b"], 3.0))


def test_a_constant_is_tried_against_the_tests_that_import_its_file_though_none_runs_a_line_of_it() -> None:
    path, test = "env/upstream/calls/sending.py", "tests/env/upstream/calls/test_server_calls.py::test_it"
    coverage = Coverage({}, {test: 1.0, "tests/env/test_reward.py::test_it": 1.0})
    assert coverage.tests(Mutation(path, "constant", 11, 11, False, ""), 9.0) == [test]
    assert coverage.tests(Mutation(path, "constant", 11, 11, True, ""), 9.0) == []
