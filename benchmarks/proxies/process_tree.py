"""What a process and all that it started have taken, from Linux' own accounts."""

import time
from collections.abc import Mapping
from pathlib import Path

_CPUCLOCK_SCHED = 2  # include/linux/posix-timers.h: the clock of a process is made of its id


def cpu_s(root: int) -> dict[int, float]:
    """Return the seconds of CPU by process id, for a process and its descendants, to the nanosecond.

    /proc/PID/stat counts in hundredths of a second, which is hundreds of requests of a fast proxy. The clock of a
    process counts all its threads, those that have ended too.
    """
    seconds = {}
    for pid in pids(root):
        try:
            seconds[pid] = time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
        except OSError:  # it ended just now
            continue
    return seconds


def taken_s(before: Mapping[int, float], after: Mapping[int, float]) -> dict[int, float]:
    """Return the seconds by process id between two looks; what ended in between is left out."""
    return {pid: seconds - before.get(pid, 0.0) for pid, seconds in after.items()}


def rss_bytes(root: int) -> int:
    """Return the resident memory of the largest process: of a proxy with several workers, one of them."""
    return max(_rss_bytes(pid) for pid in pids(root))


def pids(root: int) -> list[int]:
    """Return the ids of a process and its descendants. Raises FileNotFoundError: it ended."""
    family = [root]
    for pid in family:  # grows while it is walked
        for task in Path(f"/proc/{pid}/task").iterdir() if pid == root else Path(f"/proc/{pid}").glob("task/*"):
            try:
                family += map(int, (task / "children").read_text().split())
            except FileNotFoundError:
                continue
    return family


def _rss_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    return 1024 * int(status.partition("VmRSS:")[2].split(maxsplit=1)[0])
