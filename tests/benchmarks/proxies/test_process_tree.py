import subprocess
import sys

from benchmarks.proxies.process_tree import cpu_s, rss_bytes, taken_s

_BUSY = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True)\ninput()"
_PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-S', '-c', {_BUSY!r}])"


def test_what_a_child_takes_of_cpu_is_counted_with_its_parent() -> None:
    parent = [sys.executable, "-S", "-c", _PARENT]
    with subprocess.Popen(parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = cpu_s(process.pid)
        assert len(seconds) == 2
        assert seconds[process.pid] < 0.1 <= sum(seconds.values()) < 1.0
        assert rss_bytes(process.pid) > 1_000_000
        process.communicate(b"\n")


def test_what_was_there_before_is_taken_off_and_what_ended_is_left_out() -> None:
    assert taken_s({1: 5.0, 2: 7.0}, {1: 6.5, 3: 0.25}) == {1: 1.5, 3: 0.25}
