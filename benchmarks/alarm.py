"""How often the alarm takes an honest key for a suspect, and how soon it notices a flood and a key that turns.

    python -m benchmarks.alarm [--days 100] [--seeds 40]

A tenant's keys send Poisson traffic with a daily rhythm (from a tenth of the mean rate to nearly twice it) about two
arms, whose answers are worth 0.6 and 0.8; their people are up to 0.1 pickier or kinder than that.

`honest`: four keys, of 1 to 5 statements a minute, for so many days; every ten days one of the arms falls to 0.2, and
is itself again five days later. Suspicions, and how many that is per 100 days of a key.

`busy`: the same of two keys, one of which sends a hundred times as much as the other.

`flood`: a key of 1 to 5 a minute sends 10,000 statements within a minute; after how many it is suspected, and how long
before its first the suspicion begins.

`turned`: after a day of honesty, or from its first word, a key lies at its usual rate; after how many of its statements
it is suspected, how many seeds that never happens in within 3,000 of them, and how many honest keys are suspected.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from highwayman.feedback.trust.anomaly_detector import AnomalyDetector, SuspectedKey

DAY_S = 86_400.0
MEANS = {"a": 0.6, "b": 0.8}
PICKIER = (0.0, 0.1, -0.1, 0.05)
FALLEN = {"a": 0.2, "b": 0.8}
BASHED, SWAPPED = {"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 0.0}
LIES = 3000


@dataclass(frozen=True, slots=True)
class Said:
    """One statement."""

    at: float
    key: str
    arm: str
    luck: float  # uniform: a thumb is up where it is below the mean


@dataclass(frozen=True, slots=True)
class Turn:
    """A key that lies, among others."""

    name: str
    per_minute: tuple[float, ...]  # of each key; the first is the liar's
    honest_days: float
    lies: Mapping[str, float]


TURNS = (
    Turn("all thumbs down, 3 others", (3, 3, 3, 3), 1.0, BASHED),
    Turn("the worse arm up, the better down, 3 others", (3, 3, 3, 3), 1.0, SWAPPED),
    Turn("the same, after ten days", (3, 3, 3, 3), 10.0, SWAPPED),
    Turn("the same, 1 other", (3, 3), 1.0, SWAPPED),
    Turn("the same, ten times as busy as each of 3 others", (10, 1, 1, 1), 1.0, SWAPPED),
    Turn("the same, 3 others ten times as busy", (1, 10, 10, 10), 1.0, SWAPPED),
    Turn("the same, from everybody's first word, 3 others", (3, 3, 3, 3), 0.0, SWAPPED),
    Turn("the same, from everybody's first word, 2 others", (3, 3, 3), 0.0, SWAPPED),
    Turn("the same, from both keys' first word, 1 other", (3, 3), 0.0, SWAPPED),
)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=40)
    options = parser.parse_args()
    for name, rates in (("honest", (1, 2, 3, 5)), ("busy", (20, 0.2))):
        _honest(name, rates, days=options.days if name == "honest" else max(options.days // 5, 1))
    _flood(options.seeds)
    for turn in TURNS:
        _turned(turn, options.seeds)


def traffic(rng: np.random.Generator, per_minute: tuple[float, ...], *, begin: float, days: float) -> Iterator[Said]:
    """Yield what keys k0, k1, ... of these mean rates say, in order."""
    end, start = begin + days * DAY_S, begin
    while start < end:
        length = min(DAY_S, end - start)
        counts = [rng.poisson(2.0 * rate * length / 60.0) for rate in per_minute]
        at = start + length * rng.random(sum(counts))
        keys = np.repeat(np.arange(len(per_minute)), counts)
        busy = (1.0 + 0.9 * np.sin(2 * np.pi * at / DAY_S)) / 2.0  # of the twofold rate drawn above
        kept = np.flatnonzero(rng.random(len(at)) < busy)
        luck, second = rng.random(len(at)), rng.random(len(at)) < 0.5
        for n in kept[np.argsort(at[kept])]:
            yield Said(float(at[n]), f"k{keys[n]}", "ab"[int(second[n])], float(luck[n]))
        start += length


def hear(
    detector: AnomalyDetector, said: Said, means: Mapping[str, float], *, pickier: float = 0.0
) -> SuspectedKey | None:
    """Return what the alarm makes of a statement where arms are worth so much."""
    quality = float(said.luck < means[said.arm] + pickier)
    return detector.observe(said.key, tenant="t", arm=said.arm, quality=quality, at=said.at)


def _honest(name: str, per_minute: tuple[float, ...], *, days: int) -> None:
    rng, detector, heard, found = np.random.default_rng(0), AnomalyDetector(), 0, 0
    begun = time.perf_counter()
    for said in traffic(rng, per_minute, begin=0.0, days=days):
        heard += 1
        means = FALLEN if said.at // DAY_S % 10 >= 5 else MEANS
        if hear(detector, said, means, pickier=PICKIER[int(said.key[1:])]) is not None:
            found += 1
            detector.clear(said.key)
    took_us = (time.perf_counter() - begun) / heard * 1e6
    key_days = days * len(per_minute)
    print(f"{name:8} {key_days} key-days, {heard} statements: {found} suspicions, {100 * found / key_days:.2f} per 100 "
          f"key-days; {took_us:.0f} µs a statement, drawing it included", flush=True)  # fmt: skip


def _flood(seeds: int) -> None:
    after, before_s = [], []
    for seed in range(seeds):
        rng, detector = np.random.default_rng(seed), AnomalyDetector()
        rates = tuple(rng.uniform(1.0, 5.0, 3))
        for said in traffic(rng, rates, begin=0.0, days=2.0):
            hear(detector, said, MEANS)
        begin = 2 * DAY_S
        for number in range(10_000):
            suspect = hear(detector, Said(begin + number * 0.006, "k0", "b", 0.0), BASHED)
            if suspect is not None:
                after.append(number + 1)
                before_s.append(begin - suspect.since)
                break
    print(f"{'flood':8} noticed in {len(after)} of {seeds} runs, after {np.median(after):.0f} statements, median, at "
          f"most {max(after)}; suspected from {max(before_s):.0f} s before, or less", flush=True)  # fmt: skip


def _turned(turn: Turn, seeds: int) -> None:
    after, wrongly = [], 0
    for seed in range(seeds):
        lies, rng, detector = 0, np.random.default_rng(seed), AnomalyDetector()
        pickier = rng.uniform(-0.1, 0.1, len(turn.per_minute))
        for said in traffic(rng, turn.per_minute, begin=0.0, days=turn.honest_days + 10.0):
            lying = said.key == "k0" and said.at >= turn.honest_days * DAY_S
            lies += lying
            own = 0.0 if lying else float(pickier[int(said.key[1:])])
            suspect = hear(detector, said, turn.lies if lying else MEANS, pickier=own)
            if suspect is not None and said.key == "k0":
                after.append(lies)
            elif suspect is not None:
                wrongly += 1
            if (suspect is not None and said.key == "k0") or lies == LIES:
                break
    told = f"after {np.median(after):.0f} lies in the median, at most {max(after)}" if after else "never"
    print(f"{'turned':8} {turn.name + ':':50} noticed {told}; in {seeds - len(after)} of {seeds} runs not; "
          f"honest keys suspected {wrongly}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
