"""The tables: medians over the rounds, and their range."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.proxies.arena import DIRECT
from benchmarks.proxies.load import Setting
from benchmarks.proxies.rounds import Results

_NAME = 18


def spread(values: Sequence[float]) -> str:
    """Return the median, and least and most, in three digits."""
    low, high = (_digits(value) for value in (min(values), max(values)))
    return f"{_digits(statistics.median(values))} ({low}-{high})"


def ratios(results: Results, peer: str, reference: str, setting: Setting) -> list[float]:
    """Return by round what a request costs of CPU at a peer, as a multiple of what it costs at the reference."""
    return [
        mine / theirs
        for mine, theirs in zip(results.cpu_s(peer, setting), results.cpu_s(reference, setting), strict=True)
    ]


def ratio_table(results: Results, settings: Sequence[Setting], pairs: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Yield the lines of a table of ratios; a pair is a row's name, the peer above and the peer below the line."""
    yield " " * _NAME + "".join(f"{setting!s:>18}" for setting in settings)
    for name, peer, reference in pairs:
        cells = (spread(ratios(results, peer, reference, setting)) for setting in settings)
        yield f"{name:{_NAME}}" + "".join(f"{cell:>18}" for cell in cells)


def microseconds(results: Results, settings: Sequence[Setting], peer: str) -> str:
    """Return a row with what a request costs at a peer, in microseconds of CPU."""
    cells = (f"{1e6 * statistics.median(results.cpu_s(peer, setting)):,.0f} us" for setting in settings)
    return f"{peer:{_NAME}}" + "".join(f"{cell:>18}" for cell in cells)


def other_table(results: Results, setting: Setting) -> Iterator[str]:
    """Yield what else was seen: time added at a setting, memory, CPU idle and beside the largest process, errors."""
    columns = f"{f'ms added, {setting}':>26}{'MB a process':>16}{'idle, % of a core':>20}"
    yield f"{'':{_NAME}}{columns}{'% beside the process':>23}{'errors':>10}"
    for peer in results.peers:
        slower = spread([1e3 * seconds for seconds in results.added_s(peer, setting)])
        idle = 100 * statistics.median(shares[peer] for shares in results.idle_shares)
        beside = 100 * statistics.median(results.shares_beside(peer, setting))
        row = (
            f"{slower:>26}{results.rss_bytes[peer] / 1e6:>16.0f}{idle:>20.1f}{beside:>23.0f}{results.errors(peer):>10}"
        )
        yield f"{peer:{_NAME}}{row}"


def harness(results: Results) -> str:
    """Return what the measuring itself took of CPU, a request."""
    samples = [sample for (peer, _), every in results.samples.items() if peer == DIRECT for sample in every]
    requests = sum(sample.requests for sample in samples)
    client = sum(sample.client_cpu_s for sample in samples) / requests
    upstream = sum(sample.upstream_cpu_s for sample in samples) / requests
    return f"client {1e6 * client:.0f} us and upstream {1e6 * upstream:.0f} us a request, not in the table"


def put_into(page: Path, command: str, text: str) -> None:
    """Replace the output below a command in a page's block of console. Raises ValueError if it is not there."""
    before, line, after = page.read_text(encoding="utf-8").partition(f"```console\n$ {command}\n")
    _, fence, after = after.partition("```\n")
    if not (line and fence):
        raise ValueError(f"{page}: no block of console that begins with '$ {command}'")
    page.write_text(f"{before}{line}{text}{fence}{after}", encoding="utf-8")


def _digits(value: float) -> str:
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"
