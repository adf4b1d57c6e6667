"""What a second worker process gives, on two cores."""

import statistics

from benchmarks.proxies.arena import Arena, Sample
from benchmarks.proxies.cores import Placement
from benchmarks.proxies.load import Setting
from benchmarks.proxies.peers.highwayman import Highwayman, SourceTree
from benchmarks.proxies.report import spread

_CORES = 2
_BUSY = Setting(False, 64)


def gain(one: Sample, two: Sample) -> float:
    """Return how many times the requests a second of one worker two workers answer at most, on two cores, by their CPU.

    One worker is held up by its busiest process, which has a core of its own, or by both cores; two workers, their
    parent and Valkey by both cores. Unlike requests a second on the clock, this holds where client and upstream need
    the same two cores.
    """
    alone = min(one.requests / one.busiest_s, _CORES * one.requests / one.cpu_s)
    return _CORES * two.requests / two.cpu_s / alone


async def measure_workers(tree: SourceTree, cores: Placement, *, rounds: int, seconds: float) -> tuple[str, int]:
    """Return a sentence on the gain, and how many requests failed."""
    one, two = Highwayman(tree), Highwayman(tree, workers=2)
    async with Arena(cores) as arena:
        for peer in (one, two):
            await arena.add(peer, cores=cores.pair)
        for peer in (one, two):
            await arena.ask(peer.name, _BUSY, seconds)
        pairs = [
            (await arena.ask(one.name, _BUSY, seconds), await arena.ask(two.name, _BUSY, seconds))
            for _ in range(rounds)
        ]
    sentence = f"{tree.name}, two workers: {spread([gain(*pair) for pair in pairs])} times one, by CPU"
    if cores.roomy:
        rates = [two.requests / two.wall_s * one.wall_s / one.requests for one, two in pairs]
        sentence += f", {spread(rates)} on the clock"
    each = statistics.median(two.requests / two.cpu_s for _, two in pairs)
    sentence += f"; {each:,.0f} requests a second per busy core ({_BUSY}, two cores)"
    return sentence, sum(sample.errors for pair in pairs for sample in pair)
