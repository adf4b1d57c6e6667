from pathlib import Path

import pytest

from benchmarks.proxies.arena import DIRECT, Sample
from benchmarks.proxies.load import Setting
from benchmarks.proxies.report import other_table, put_into, ratio_table
from benchmarks.proxies.rounds import Results

PLAIN = Setting(stream=False, clients=1)


def sample(cpu_s: float, *, latency_s: float = 0.0, errors: int = 0) -> Sample:
    return Sample(10, errors, 1.0, 2.0, latency_s, cpu_s, cpu_s * 0.75, 0.1, 0.1)


@pytest.fixture
def results() -> Results:
    """Two rounds; a burst is 10 requests in a window of 2 s, and the slow one takes 5% of a core anyway."""
    return Results(
        samples={
            (DIRECT, PLAIN): [sample(0.0, latency_s=0.001), sample(0.0, latency_s=0.002)],
            ("quick", PLAIN): [sample(1.0, latency_s=0.002), sample(2.0, latency_s=0.003)],
            ("slow", PLAIN): [sample(3.1, latency_s=0.005, errors=1), sample(10.1, latency_s=0.008)],
        },
        idle_shares=[{"quick": 0.0, "slow": 0.05}] * 2,
        rss_bytes={"quick": 10_000_000, "slow": 150_000_000},
    )


def test_a_ratio_is_within_a_round_and_without_what_an_idle_peer_takes(results: Results) -> None:
    _, row = ratio_table(results, [PLAIN], [("slow", "slow", "quick")])
    assert row.split() == ["slow", "4.00", "(3.00-5.00)"]


def test_time_added_is_within_a_round_and_memory_idling_and_errors_stand_beside_it(results: Results) -> None:
    _, quick, slow = other_table(results, PLAIN)
    assert quick.split() == ["quick", "1.00", "(1.00-1.00)", "10", "0.0", "25", "0"]
    assert slow.split() == ["slow", "5.00", "(4.00-6.00)", "150", "5.0", "25", "1"]


def test_what_is_printed_takes_the_place_of_what_was_printed_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```console\n$ make bench\nold\n```\n\n```\nkept\n```\n")
    put_into(page, "make bench", "new\n")
    assert page.read_text() == "# Page\n\n```console\n$ make bench\nnew\n```\n\n```\nkept\n```\n"


def test_a_page_without_the_command_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    with pytest.raises(ValueError, match="no block of console that begins with '\\$ make bench'"):
        put_into(page, "make bench", "new\n")
