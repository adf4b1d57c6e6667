import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.errors import ConfigError
from highwayman.feedback.log.writing.spool import Spool, SpoolFull, claim_spools

LIMIT = 1 << 20


def opened(path: Path, limit_bytes: int = LIMIT) -> Spool:
    return Spool(path, limit_bytes=limit_bytes)


def test_events_come_out_in_the_order_they_went_in(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append([b"one", b"two"])
    spool.append([b"three"])
    assert (len(spool), spool.peek(2), spool.peek(9)) == (3, [b"one", b"two"], [b"one", b"two", b"three"])


def test_what_was_dropped_stays_dropped_after_a_restart_and_the_rest_is_there(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append([b"one", b"two", b"three"])
    spool.drop(spool.peek(1))
    spool.close()
    again = opened(tmp_path / "s")
    assert (len(again), again.peek(9)) == (2, [b"two", b"three"])


def test_a_drained_spool_takes_no_room(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append([b"x" * 1000])
    spool.drop(spool.peek(1))
    assert (tmp_path / "s").stat().st_size == 0
    spool.append([b"later"])
    spool.close()
    assert opened(tmp_path / "s").peek(9) == [b"later"]


@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.binary(min_size=1, max_size=40), max_size=8), data=st.data())
def test_a_file_cut_anywhere_gives_back_the_whole_events_before_the_cut(
    events: list[bytes], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "s"
    spool = opened(path)
    ends = [8]
    for event in events:
        spool.append([event])
        ends.append(path.stat().st_size)
    if events:
        spool.close()
    else:
        os.close(spool._file)
    cut = data.draw(st.integers(0, ends[-1]))
    os.truncate(path, cut)
    whole = sum(end <= cut for end in ends[1:])
    again = opened(path)
    assert again.peek(99) == events[:whole]
    again.append([b"after"])
    assert again.peek(99) == [*events[:whole], b"after"]


def test_a_damaged_event_ends_what_is_read(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append([b"good", b"bad"])
    spool.close()
    content = bytearray((tmp_path / "s").read_bytes())
    content[-1] ^= 1
    (tmp_path / "s").write_bytes(content)
    assert opened(tmp_path / "s").peek(9) == [b"good"]


def test_beyond_its_limit_it_takes_nothing_and_keeps_what_it_has(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", limit_bytes=100)
    spool.append([b"x" * 60])
    with pytest.raises(SpoolFull, match="76 bytes of 100"):
        spool.append([b"y" * 60])
    assert spool.peek(9) == [b"x" * 60]


FILL = """
import resource, sys
from pathlib import Path
from highwayman.feedback.log.writing.spool import Spool, SpoolFull
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
spool = Spool(Path(sys.argv[1]), limit_bytes=1 << 20)
count = 0
try:
    while True:
        spool.append([b"x" * 500])
        count += 1
except SpoolFull as error:
    print(count, error)
"""


def test_a_disk_that_takes_no_more_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FILL, str(tmp_path / "s")], capture_output=True, text=True, check=True)
    count, message = done.stdout.split(maxsplit=1)
    assert "cannot grow: File too large" in message
    assert opened(tmp_path / "s").peek(99) == [b"x" * 500] * int(count)
    assert int(count) == (4096 - 8) // 508


def test_a_spool_in_use_is_left_alone_and_one_whose_process_died_is_taken_over(tmp_path: Path) -> None:
    (first,) = claim_spools(tmp_path, limit_bytes=LIMIT)
    (second,) = claim_spools(tmp_path, limit_bytes=LIMIT)
    assert first.path != second.path
    first.append([b"left behind"])
    first.close()
    (heir,) = claim_spools(tmp_path, limit_bytes=LIMIT)
    assert heir.peek(9) == [b"left behind"]
    assert second.peek(9) == []


def test_a_process_takes_every_spool_left_behind(tmp_path: Path) -> None:
    spools = [claim_spools(tmp_path, limit_bytes=LIMIT)[0] for _ in range(3)]
    for spool in spools:
        spool.append([spool.path.name.encode()])
        spool.close()
    heirs = claim_spools(tmp_path, limit_bytes=LIMIT)
    assert [heir.peek(9) for heir in heirs] == [[b"0000.spool"], [b"0001.spool"], [b"0002.spool"]]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file.*state-dir"):
        claim_spools(tmp_path / "file", limit_bytes=LIMIT)
