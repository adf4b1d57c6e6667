"""Asks all peers in turn, again and again, and keeps what each turn took."""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.proxies.arena import DIRECT, Arena, Sample
from benchmarks.proxies.load import Setting

_WARM_UP = (Setting(False, 16), Setting(True, 16))


@dataclass(slots=True)
class Results:
    """Samples by peer and setting, one of each a round, and what else was seen of the peers."""

    samples: dict[tuple[str, Setting], list[Sample]] = field(default_factory=dict)
    idle_shares: list[dict[str, float]] = field(default_factory=list)  # of a core, a round; by peer
    rss_bytes: dict[str, int] = field(default_factory=dict)  # of the largest process, in the end
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def peers(self) -> list[str]:
        """Those that were asked."""
        return list(self.rss_bytes)

    def cpu_s(self, peer: str, setting: Setting) -> list[float]:
        """Return the CPU of a request by round, less what the peer takes without any; NaN if none was answered."""
        return [
            (sample.cpu_s - idle[peer] * sample.window_s) / sample.requests if sample.requests else float("nan")
            for sample, idle in zip(self.samples[peer, setting], self.idle_shares, strict=True)
        ]

    def added_s(self, peer: str, setting: Setting) -> list[float]:
        """Return by round how much longer the median request took than one to the upstream itself."""
        direct = self.samples[DIRECT, setting]
        return [
            sample.latency_s - bare.latency_s for sample, bare in zip(self.samples[peer, setting], direct, strict=True)
        ]

    def shares_beside(self, peer: str, setting: Setting) -> list[float]:
        """Return by round which part of a peer's CPU was not its busiest process': of the router's, Valkey's."""
        return [1 - sample.busiest_s / sample.cpu_s for sample in self.samples[peer, setting]]

    def errors(self, peer: str) -> int:
        """Return how many requests were not answered, or not whole."""
        return sum(sample.errors for (name, _), samples in self.samples.items() if name == peer for sample in samples)


async def interleaved(arena: Arena, settings: Sequence[Setting], *, rounds: int, seconds: float) -> Results:
    """Return what so many rounds took; within a round every setting comes once, and all peers in a new order.

    Neighbours on the machine, its clock rate and its heat change within seconds. They meet all peers of a round alike,
    and so a quotient within a round says more than one of medians.
    """
    results, rng = Results(missing=arena.missing), random.Random(0)
    for name in arena.names:
        for setting in _WARM_UP:
            await arena.ask(name, setting, seconds)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        results.idle_shares.append(await arena.idle_shares(max(0.5, seconds)))
        for setting in settings:
            for name in rng.sample(arena.names, len(arena.names)):
                sample = await arena.ask(name, setting, seconds)
                results.samples.setdefault((name, setting), []).append(sample)
    results.rss_bytes = {name: arena.rss_bytes(name) for name in arena.names if name != DIRECT}
    return results
