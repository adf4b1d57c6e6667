"""A kept child process: real processes, ended in every way."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from highwayman.env.tasks import cancel_and_wait
from highwayman.serving.processes.restart_policy import RestartPolicy
from highwayman.serving.processes.supervised_process import (
    PortTaken,
    ProcessFailed,
    ProcessObserver,
    ProcessOptions,
    SupervisedProcess,
    checked_port,
)

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


# As above, with a child of its own that says it is up by making a file and does not heed SIGTERM.
PARENT = """
import pathlib, signal, subprocess, sys
folder = pathlib.Path(sys.argv[1])
grandchild = "import pathlib, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
grandchild += "pathlib.Path(sys.argv[1], 'up').write_text('')\\nwhile True: signal.pause()"
(folder / "pid").write_text(str(subprocess.Popen([sys.executable, "-c", grandchild, str(folder)]).pid))
signal.pause()
"""


# Finishes what is under way when it is told to end, which takes longer than until tasks are cancelled again; told once
# more, it hurries, and writes that down.
FINISHES = """
import pathlib, signal, sys, time
folder, told = pathlib.Path(sys.argv[1]), []
def on_sigterm(*_):
    told.append(time.monotonic())
    if len(told) > 1:
        (folder / "hurried").write_text("")
signal.signal(signal.SIGTERM, on_sigterm)
(folder / "begun").write_text("")
while not told or time.monotonic() < told[0] + 1.2:
    time.sleep(0.02)
(folder / "finished").write_text("")
"""


class Hearing(ProcessObserver):
    """Writes down what it is told."""

    def __init__(self) -> None:
        super().__init__("thing")
        self.heard: list[str] = []

    def on_launch(self) -> None:
        self.heard.append("launch")

    async def on_ready(self, seconds: float) -> None:
        self.heard.append("ready")

    def on_death(self, code: int, delay_s: float | None) -> None:
        self.heard.append(f"death {code} {delay_s}")

    def on_failed_restart(self, error: ProcessFailed) -> None:
        self.heard.append(str(error))


def child(
    folder: Path,
    program: str = PROGRAM,
    *,
    ready_within_s: float = 20.0,
    tell: Callable[[bool], None] = lambda _: None,
    options: ProcessOptions | None = None,
) -> SupervisedProcess:
    async def ready() -> None:
        (folder / "up").stat()

    argv = [sys.executable, "-c", program, str(folder)]
    return SupervisedProcess(
        "thing", argv, probe=ready, ready_within_s=ready_within_s, on_state_change=tell, options=options
    )


def runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and " Z " not in stat.read_text()


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


async def test_a_child_whose_probe_fails_in_a_way_of_its_own_is_not_ready_and_is_ended(tmp_path: Path) -> None:
    async def probe() -> None:
        raise ValueError("no JSON")

    odd = SupervisedProcess("thing", [sys.executable, "-c", PROGRAM, str(tmp_path)], probe=probe)
    with pytest.raises(ProcessFailed, match=r"thing answered oddly \(ValueError: no JSON\)"):
        await odd.start()
    with pytest.raises(ProcessLookupError):
        os.kill(odd.pid, 0)


async def test_a_child_that_dies_too_often_is_given_up_and_all_of_it_is_told_in_order(tmp_path: Path) -> None:
    hearing = Hearing()
    options = ProcessOptions(restarts=RestartPolicy(first_s=0.01, limit=2), observer=hearing)
    kept = child(tmp_path, options=options)
    await kept.launch()
    keeping = asyncio.create_task(kept.keep_up())
    (tmp_path / "refuse").write_text("")
    await killed(kept, tmp_path)
    await restarted(kept, 1)
    await killed(kept, tmp_path)
    await asyncio.wait_for(keeping, 20)
    first = ["launch", "ready", "death -9 0.01", "launch", "thing ended (exit code 3)"]
    assert hearing.heard == [*first, "death 3 0.02", "launch", "ready", "death -9 None"]
    await kept.stop()


async def test_deaths_are_forgotten_once_it_answers_where_the_policy_forgives(tmp_path: Path) -> None:
    hearing = Hearing()
    policy = RestartPolicy(first_s=0.01, limit=1, forgives=True)
    kept = child(tmp_path, options=ProcessOptions(restarts=policy, observer=hearing))
    await kept.start()
    for times in (1, 2):
        await killed(kept, tmp_path)
        await restarted(kept, times)
    assert hearing.heard == ["launch", "ready", *["death -9 0.01", "launch", "ready"] * 2]
    await kept.stop()


async def test_what_a_child_started_ends_with_it_where_the_whole_group_is_to(tmp_path: Path) -> None:
    kept = child(tmp_path, PARENT, options=ProcessOptions(whole_group=True))
    await kept.start()
    grandchild = int((tmp_path / "pid").read_text())
    await kept.stop()
    async with asyncio.timeout(10):
        while runs(grandchild):
            await asyncio.sleep(0.02)


async def test_a_child_that_inherits_no_environment_has_only_the_variables_it_was_given(tmp_path: Path) -> None:
    async def ready() -> None:
        (tmp_path / "up").stat()

    program = "import json, os, pathlib, signal, sys; told = pathlib.Path(sys.argv[1], 'told')\n"
    program += "told.write_text(json.dumps(dict(os.environ))); told.rename(told.with_name('up')); signal.pause()"
    options = ProcessOptions(inherits_environment=False)
    argv = [sys.executable, "-c", program, str(tmp_path)]
    kept = SupervisedProcess("thing", argv, probe=ready, env={"GIVEN": "1"}, options=options)
    await kept.start()
    environment = json.loads((tmp_path / "up").read_text())
    await kept.stop()
    assert environment["GIVEN"] == "1"
    assert not {"PATH", "HOME"} & set(environment)


def test_a_taken_port_is_told_with_its_reason_and_for_port_0_a_free_one_is_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} on 127.0.0.1 cannot be had") as told:
            checked_port(port)
    assert told.value.reason == "Address already in use"
    assert checked_port(0) > 0


async def test_one_that_is_given_up_while_it_starts_finishes_what_it_does_and_is_told_to_end_once(
    tmp_path: Path,
) -> None:
    process = SupervisedProcess(
        "thing",
        [sys.executable, "-c", FINISHES, str(tmp_path)],
        probe=never_up,
        options=ProcessOptions(patience_s=20.0),
    )
    starting = asyncio.create_task(process.start())
    while not (tmp_path / "begun").exists():
        await asyncio.sleep(0.01)
    await cancel_and_wait(starting)
    await process.stop()
    assert (tmp_path / "finished").exists()
    assert not (tmp_path / "hurried").exists()


async def never_up() -> None:
    raise OSError
