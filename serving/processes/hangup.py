"""SIGHUP: files are read again, unless it says that the terminal has gone."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable

from highwayman.serving.processes.supervised_process import SupervisedProcess


def on_hangup(reload: Callable[[], None]) -> None:
    """Call `reload` on each SIGHUP from now on. Needs the running loop.

    Who closes the terminal that a router was started from means its end, as ever: then the process is sent SIGTERM.
    Under nohup, which has SIGHUP ignored, it is not.
    """
    ends_with_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()

    def on_signal() -> None:
        if ends_with_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
        else:
            reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_signal)


def pass_on_hangups(processes: Iterable[SupervisedProcess]) -> None:
    """Have SIGHUP read files again in all of the processes, from now on. Needs the running loop."""

    def reload() -> None:
        for process in processes:
            process.hang_up()

    on_hangup(reload)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
