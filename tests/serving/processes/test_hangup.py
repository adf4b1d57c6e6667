"""A program that waits for SIGHUP, in a terminal of its own."""

import os
import pty
import signal
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import pytest

PROGRAM = """
import asyncio, signal, sys
from highwayman.serving.processes.hangup import on_hangup
async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    on_hangup(lambda: print("reload", flush=True))
    print("ready", flush=True)
    await ended.wait()
    print("end", flush=True)
asyncio.run(main())
"""

# What a shell does that starts a program in the terminal it has as its own: the program leads a session with it.
IN_TERMINAL = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
# Whoever runs the tests may do so under nohup.
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1] == "nohup" else signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2]])
"""


def started(*words: str, **options: Any) -> "Popen[str]":
    process = Popen([sys.executable, *words], stdout=PIPE, stderr=DEVNULL, text=True, **options)
    assert said(process) == "ready"
    return process


def said(process: "Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.skipif(not Path("/dev/tty").exists(), reason="needs terminals")
@pytest.mark.parametrize(("how", "then"), [("plainly", "end"), ("nohup", "reload")])
def test_a_router_ends_with_the_terminal_it_was_started_from_unless_under_nohup(how: str, then: str) -> None:
    keeper, terminal = pty.openpty()
    process = started("-c", IN_TERMINAL, how, PROGRAM, stdin=terminal)
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    assert said(process) == "reload", "somebody has told it to, and the terminal is there"
    os.close(keeper)
    assert said(process) == then
    process.kill()
    process.communicate()
