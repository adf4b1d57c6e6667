"""A plugin for pytest that keeps which tests run which lines of some files."""

import json
import sys
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

_ENOUGH_CALLS = 200  # of a function in one test without a line that is new: then it is taken to run all of its lines

_Lines = defaultdict[str, set[int]]  # by file


class LinesByTest:
    """Writes, when the tests have run, each passed test's seconds and lines to a file.

    What a test's set-up runs may be shared with every test of its file, and is told apart under the file's own name.
    """

    def __init__(self, files: Iterable[Path], written: Path) -> None:
        """Keep the lines of `files`, and write them to `written`."""
        self._names = {str(path.resolve()): str(path) for path in files}
        self._paths: dict[str, str | None] = {}
        self._lines: defaultdict[str, _Lines] = defaultdict(lambda: defaultdict(set))
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        self._now: _Lines = defaultdict(set)
        self._calls: dict[
            CodeType, tuple[int, int]
        ] = {}  # of the running test: since when no new line of the file came
        self._written = written

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Trace the set-up for the whole file."""
        return (yield from self._traced(item.nodeid.split("::")[0]))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Trace the test."""
        return (yield from self._traced(item.nodeid))

    def _traced(self, name: str) -> Generator[None, Any, Any]:
        self._now = self._lines[name]
        self._calls.clear()
        sys.settrace(self._on_call)
        threading.settrace(self._on_call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]  # what typeshed does not know

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if code.co_filename not in self._paths:
            self._paths[code.co_filename] = self._names.get(str(Path(code.co_filename).resolve()))
        if (path := self._paths[code.co_filename]) is None:
            return None
        lines = self._now[path]
        calls, known = self._calls.get(code, (0, -1))
        self._calls[code] = (calls + 1, len(lines)) if known == len(lines) else (0, len(lines))
        if calls > _ENOUGH_CALLS:
            if calls == _ENOUGH_CALLS + 1:  # it may come to any of them yet
                lines.update(line for _, _, line in code.co_lines() if line is not None)
            return None

        def on_line(frame: FrameType, event: str, argument: object) -> Any:
            lines.add(frame.f_lineno)
            return on_line

        return on_line(frame, event, argument)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up a test's seconds; one that fails as it is can notice nothing."""
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write what was kept."""
        lines = {
            name: {path: sorted(numbers) for path, numbers in kept.items()}
            for name, kept in self._lines.items()
            if name not in self._failed
        }
        seconds = {name: value for name, value in self._seconds.items() if name not in self._failed}
        self._written.write_text(json.dumps({"lines": lines, "seconds": seconds}), encoding="utf-8")
