"""Puts seeded faults into the core's files, one at a time, and prints those that no test notices (`make mutants`).

    python -m scripts.mutants --seed 0 --count 40 [FILES...]

What is mutated is a copy of the tree. First the tests that mirror a file or import it run as they are, and it is kept
which of them run which lines; a mutant is then tried against the tests that run its line, and nothing else, and against
those that take long only if the others notice nothing. A mutant that makes them hang counts as noticed only if they
take less than a fifth of the time without it. Whether a survivor is a fault at all, or only another way to write the
same, is for a reader to judge.
"""

import argparse
import contextlib
import difflib
import importlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.core_files import CORE
from scripts.lines_by_test import LinesByTest
from scripts.mutations import Mutation, mutations

# What most tests import, once, before each mutant's process is forked from this one.
_PRELOADED = "numpy aiohttp fastapi uvicorn uvloop redis.asyncio msgpack pydantic prometheus_client tokenizers yaml"
_PRELOADED += " click rich hypothesis pytest_asyncio"
_QUICK_S = 2.0
_HANGS_S = 60.0
_HANGS_TIMES = 8.0
_NOT_OURS = 99  # an exit status: what was tested is not the copy


_ENDINGS = {  # by pytest's exit status
    0: "survived",
    int(pytest.ExitCode.TESTS_FAILED): "noticed",
    int(pytest.ExitCode.INTERRUPTED): "noticed",  # a file that cannot be imported
    int(pytest.ExitCode.USAGE_ERROR): "noticed",  # a conftest that cannot be
    int(pytest.ExitCode.NO_TESTS_COLLECTED): "not run",
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which tests run which lines: `lines` per test, or per file for what its set-up runs; `seconds` per test."""

    lines: dict[str, frozenset[tuple[str, int]]]
    seconds: dict[str, float]

    @classmethod
    def read(cls, path: Path) -> "Coverage":
        """Return what `LinesByTest` wrote."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        lines = {
            name: frozenset((path, line) for path, numbers in files.items() for line in numbers)
            for name, files in kept["lines"].items()
        }
        return cls(lines, kept["seconds"])

    def tests(self, mutation: Mutation, most_s: float) -> list[str]:
        """Return the tests that run the mutant's line, its mirror's first, the quickest first, for about `most_s`.

        A line outside every function runs on import: then all that run any line of the file, or import it, are asked.
        """
        wanted = {(mutation.path, line) for line in range(mutation.first_line, mutation.last_line + 1)}
        touching = {
            name
            for name, lines in self.lines.items()
            if not lines.isdisjoint(wanted)
            or (not mutation.in_function and any(path == mutation.path for path, _ in lines))
        }
        if not mutation.in_function:  # a file of constants alone is run by no test, only imported
            touching |= set(testing(mutation.path))
        mirror = f"test_{Path(mutation.path).name}"
        tests = [test for test in self.seconds if test in touching or _file_of(test) in touching]
        chosen: list[str] = []
        spent_s = 0.0
        for test in sorted(tests, key=lambda name: (Path(_file_of(name)).name != mirror, self.seconds[name])):
            if spent_s >= most_s:
                break
            chosen.append(test)
            spent_s += self.seconds[test]
        return chosen

    def quick_and_slow(self, tests: Sequence[str]) -> tuple[tuple[list[str], float], tuple[list[str], float]]:
        """Return the tests in two parts, each with the seconds it takes: most mutants need no slow test."""
        parts = ([test for test in tests if (self.seconds[test] <= _QUICK_S) == quick] for quick in (True, False))
        quick, slow = ((part, sum(self.seconds[test] for test in part)) for part in parts)
        return quick, slow


def _file_of(test: str) -> str:
    return test.split("::", maxsplit=1)[0]


class _Chosen:
    """Leaves out, in pytest, every test that was not chosen."""

    def __init__(self, tests: Iterable[str]) -> None:
        self._tests = frozenset(tests)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._tests]


def copied(tree: Path, into: Path) -> None:
    """Copy every file that git knows, or would, to a folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=tree,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if not (tree / name).is_symlink() and not (tree / name).is_file():
            continue
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree / name, into / name, follow_symlinks=False)


def testing(path: str) -> list[str]:
    """Return the test files that mirror a module, import it, or import the package's class that it is known by."""
    module = "highwayman." + path.removesuffix(".py").replace("/", ".")
    mirror = f"tests/{Path(path).parent}/test_{Path(path).name}"
    files = sorted(str(file) for file in Path("tests").rglob("test_*.py") if "faults" not in file.parts)
    return [file for file in files if file == mirror or module in Path(file).read_text(encoding="utf-8")]


def _run_tests(arguments: list[str], plugins: list[object], quiet: bool) -> None:
    """Run pytest in this process, which the parent made for it, and end with its exit status."""
    os.setsid()
    here = str(Path.cwd())
    sys.path[:0] = [f"{here}/src", here]
    os.environ["PYTHONPATH"] = f"{here}/src:{here}"
    for name in [name for name in sys.modules if name.split(".")[0] in {"highwayman", "scripts", "tests"}]:
        del sys.modules[name]
    if quiet:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
    status = pytest.main(["-p", "no:cacheprovider", "-p", "no:xdist", *arguments], plugins=plugins)
    if (ours := sys.modules.get("highwayman")) is not None and ours.__file__ != f"{here}/src/highwayman/__init__.py":
        status = _NOT_OURS
    os._exit(int(status))


def _forked(arguments: list[str], plugins: list[object], *, timeout_s: float | None, quiet: bool = True) -> int | None:
    """Return pytest's exit status, or None if it did not end in time; everything it started is ended."""
    child = multiprocessing.get_context("fork").Process(target=_run_tests, args=(arguments, plugins, quiet))
    child.start()
    child.join(timeout_s)
    status = child.exitcode
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid or 0, signal.SIGKILL)
    child.join()
    return status


def tried(mutation: Mutation, tests: Sequence[str], seconds: float) -> str:
    """Return what becomes of a mutant: `noticed`, `survived`, `hangs` (noticed too), `unclear` or `not run`."""
    if not tests:
        return "not run"
    path = Path(mutation.path)
    original = path.read_text(encoding="utf-8")
    plugins: list[object] = [_Chosen(tests)]
    arguments = ["-x", *dict.fromkeys(map(_file_of, tests))]
    limit_s = _HANGS_S + _HANGS_TIMES * seconds
    try:
        _write(path, mutation.text)
        status = _forked(arguments, plugins, timeout_s=limit_s)
    finally:
        _write(path, original)
    if status is None:
        started = time.monotonic()
        unmutated = _forked(arguments, plugins, timeout_s=limit_s)
        return "hangs" if unmutated == 0 and time.monotonic() - started < limit_s / 5 else "unclear"
    return _ENDINGS.get(status, "unclear")


def _write(path: Path, text: str) -> None:
    """Write a file and forget what was compiled of it: two writes within a second look alike to the interpreter."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def diff(mutation: Mutation) -> str:
    """Return the lines that differ."""
    original = Path(mutation.path).read_text(encoding="utf-8")
    lines = difflib.unified_diff(original.splitlines(), mutation.text.splitlines(), lineterm="", n=0)
    return "\n".join(f"    {line}" for line in lines if not line.startswith(("---", "+++", "@@")))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="files to mutate (the core)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=40, help="mutants to try")
    parser.add_argument("--first", type=int, default=0, help="leave out so many of the drawn order first")
    parser.add_argument("--seconds", type=float, default=20.0, help="of tests for a mutant, at most")
    parser.add_argument("--tests", nargs="*", help="test files or folders, instead of those that mirror or import")
    parser.add_argument("--lines", type=Path, help="keep which tests run which lines here, and read it if it exists")
    return parser.parse_args()


def covered(files: Sequence[str], tests: Sequence[str] | None, kept: Path) -> Coverage:
    """Return which tests run which lines of the files, from `kept` or else by running the tests, written to it."""
    if not kept.exists():
        chosen = tests or sorted({test for path in files for test in testing(path)})
        print(f"{len(chosen)} test files run as they are, to see which lines they run", flush=True)
        _forked(list(chosen), [LinesByTest(map(Path, files), kept)], timeout_s=None, quiet=False)
    return Coverage.read(kept)


def main() -> None:
    """Try the drawn mutants, print every survivor with its lines, and the share that was noticed."""
    options = _arguments()
    lines = options.lines and options.lines.resolve()
    for name in _PRELOADED.split():
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copied(Path.cwd(), Path(folder))
        os.chdir(folder)
        files = options.files or CORE
        coverage = covered(files, options.tests, lines or Path(folder, "lines.json"))
        every = [mutation for path in files for mutation in mutations(path, Path(path).read_text(encoding="utf-8"))]
        random.Random(options.seed).shuffle(every)  # noqa: S311 - a draw that can be repeated
        drawn = every[options.first : options.first + options.count]
        print(f"{len(drawn)} of {len(every)} mutants of {len(files)} files, seed {options.seed}", flush=True)
        endings = _tried_all(drawn, coverage, options.seconds)
    unnoticed = endings["survived"] + endings["not run"] + endings["unclear"]
    print(", ".join(f"{count} {ending}" for ending, count in sorted(endings.items())))
    print(f"not noticed: {unnoticed} of {len(drawn)} ({unnoticed / max(1, len(drawn)):.1%})")


def _tried_all(drawn: Sequence[Mutation], coverage: Coverage, most_s: float) -> Counter[str]:
    endings: Counter[str] = Counter()
    for mutation in drawn:
        tests = coverage.tests(mutation, most_s)
        quick, slow = coverage.quick_and_slow(tests)
        ending = tried(mutation, *quick)
        if slow[0] and ending in {"survived", "not run"}:
            ending = tried(mutation, *slow)
        endings[ending] += 1
        if ending not in {"noticed", "hangs"}:
            print(f"{ending}: {mutation.path}:{mutation.first_line} {mutation.kind} ({len(tests)} tests)")
            print(diff(mutation), flush=True)
    return endings


if __name__ == "__main__":
    main()
