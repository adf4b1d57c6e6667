"""A kept child process: real processes, ended in every way."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from highwayman.serving.processes.supervised_process import ProcessFailed, SupervisedProcess

# Says it is up by making a file; with the file `refuse` beside it, it ends at once, and takes that file away.
PROGRAM = """
import pathlib, signal, sys
folder = pathlib.Path(sys.argv[1])
if (folder / "refuse").exists():
    (folder / "refuse").unlink()
    sys.exit(3)
(folder / "up").write_text("")
signal.pause()
"""


def child(
    folder: Path, program: str = PROGRAM, *, ready_within_s: float = 20.0, tell: Callable[[bool], None] = lambda _: None
) -> SupervisedProcess:
    async def ready() -> None:
        (folder / "up").stat()

    argv = [sys.executable, "-c", program, str(folder)]
    return SupervisedProcess("thing", argv, probe=ready, ready_within_s=ready_within_s, on_state_change=tell)


async def killed(kept: SupervisedProcess, folder: Path) -> None:
    (folder / "up").unlink()
    os.kill(kept.pid, signal.SIGKILL)


async def restarted(kept: SupervisedProcess, times: int) -> None:
    async with asyncio.timeout(20):
        while kept.restarts < times:
            await asyncio.sleep(0.02)


async def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    kept = child(tmp_path)
    await kept.start()
    before = kept.pid
    await killed(kept, tmp_path)
    await restarted(kept, 1)
    assert kept.pid != before
    await kept.stop()


async def test_a_child_whose_restart_fails_is_tried_again(tmp_path: Path) -> None:
    kept = child(tmp_path)
    await kept.start()
    (tmp_path / "refuse").write_text("")
    await killed(kept, tmp_path)
    await restarted(kept, 1)
    assert not (tmp_path / "refuse").exists()
    assert (tmp_path / "up").exists()
    await kept.stop()


async def test_its_coming_up_and_its_death_are_told_but_not_its_being_stopped(tmp_path: Path) -> None:
    told: list[bool] = []
    kept = child(tmp_path, tell=told.append)
    await kept.start()
    await killed(kept, tmp_path)
    await restarted(kept, 1)
    await kept.stop()
    assert told == [True, False, True]


async def test_a_child_that_ends_at_the_start_is_told_with_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match=r"thing ended \(exit code 7\)"):
        await child(tmp_path, "raise SystemExit(7)").start()


async def test_a_child_that_never_answers_is_ended(tmp_path: Path) -> None:
    silent = child(tmp_path, "import signal; signal.pause()", ready_within_s=0.3)
    with pytest.raises(ProcessFailed, match="did not answer in time"):
        await silent.start()
    with pytest.raises(ProcessLookupError):
        os.kill(silent.pid, 0)
