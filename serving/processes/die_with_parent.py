"""Turns into another program that is told to stop when this one's parent dies, however it dies.

Run by its path, as `python -I die_with_parent.py PARENT_PID PROGRAM [ARGUMENT...]`: a signal asked for between
fork and exec would need a `preexec_fn`, which is unsafe beside threads. Linux only; elsewhere it only turns.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(argv: list[str]) -> None:
    """Ask for SIGTERM at the parent's death, then become the program named in `argv`."""
    parent, program = int(argv[1]), argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - becoming the program is the point; no shell is involved


if __name__ == "__main__":
    main(sys.argv)
