"""Whether the interval of what a router saved covers what it did, at every look; and what the fold of it costs.

`python -m benchmarks.savings` simulates routers that learn while the control slice runs, with costs of heavy tails,
and prints in how many runs the interval covered the true saving at every look, how wide it was, and how much one
decision adds to the learner's time.
"""

import argparse
import math
import time
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import ControlDraw, Floats
from highwayman.feedback.fold.tallies.arm_contrast import ContrastSums, contrast, contrast_terms
from highwayman.feedback.savings.difference import difference_interval

_PRICES = np.array([0.0004, 0.001, 0.004])  # mean dollars a call; the last is the baseline's
_WINDOW = 200.0  # times the mean that a call may cost at most: no answer outgrows its arm's window
_LOOKS = 40
_LEAST_DRAWN = 50  # by the slice in a run, about: of much less there is no interval


@dataclass(frozen=True, slots=True)
class World:
    """How costs spread around what is expected of them, and how the policy changes."""

    name: str
    sigma: float = 1.0  # of the logarithm of a call's cost
    pareto: float | None = None  # the tail's exponent instead; None: lognormal
    equal: bool = False  # whether all arms cost the same, so that nothing is saved
    sudden: bool = False  # whether the policy changes its mind in the middle, and prices double


_WORLDS = (
    World("lognormal, sigma 1"),
    World("lognormal, sigma 1.5", sigma=1.5),
    World("Pareto, exponent 2.5", pareto=2.5),
    World("nothing saved", equal=True),
    World("prices double, policy turns", sudden=True),
)


def run(world: World, rounds: int, share: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return the sums at each look, (looks, 15), the true saving up to it, (looks,), and rounds at it, (looks,)."""
    kind = rng.random(rounds)  # of the query: what the policy prefers depends on it
    learned = np.minimum(np.arange(rounds) / (0.3 * rounds), 1.0)
    turn = (np.arange(rounds) > rounds / 2) & world.sudden
    cheap = np.where(turn, 0.05, 0.6) * learned + 1 / 3 * (1 - learned)
    policy = np.stack([cheap * (0.5 + kind), np.full(rounds, 0.1), np.zeros(rounds)], axis=1)
    policy[:, 2] = 1.0 - policy.sum(axis=1)
    policy = np.maximum(policy, 0.003)
    policy /= policy.sum(axis=1, keepdims=True)
    baseline = np.array([0.0, 0.0, 1.0])
    probs = (1 - share) * policy + share * baseline
    action = (probs.cumsum(axis=1) <= rng.random(rounds)[:, None]).sum(axis=1)
    means = np.full((rounds, 3), 0.002) if world.equal else np.tile(_PRICES, (rounds, 1))
    means = means * (0.5 + kind)[:, None] * np.where(turn, 2.0, 1.0)[:, None]
    factor, mean_factor = _factors(world, rounds, rng)
    rows = np.arange(rounds)
    cost = means[rows, action] * factor
    ratio = baseline[action] / probs[rows, action]
    drawn = rng.random(rounds) < share * ratio  # whose of the two components a draw was, given its arm
    terms = contrast_terms(drawn.astype(float), ratio, (1 - share * ratio) / (1 - share), cost)
    sums = np.stack([np.ones(rounds), *terms]).cumsum(axis=1)
    truth = ((baseline - policy) * means).sum(axis=1).cumsum() * mean_factor / (rows + 1)
    looks = np.unique(np.geomspace(min(200, rounds), rounds, _LOOKS).astype(int)) - 1
    return sums[:, looks].T, truth[looks], looks + 1.0


def _factors(world: World, rounds: int, rng: np.random.Generator) -> tuple[Floats, float]:
    """Return what costs are multiplied by, (rounds,), and its mean: cut at the window, whose mean is taken by many."""

    def draw(n: int, generator: np.random.Generator) -> Floats:
        if world.pareto is not None:
            return np.minimum((1 + generator.pareto(world.pareto, n)) * (world.pareto - 1) / world.pareto, _WINDOW)
        return np.minimum(np.exp(generator.normal(-(world.sigma**2) / 2, world.sigma, n)), _WINDOW)

    return draw(rounds, rng), float(draw(2_000_000, np.random.default_rng(7)).mean())


def coverage(world: World, *, runs: int, rounds: int, share: float, seed: int) -> str:
    """Return what the runs came to, in a line."""
    covered = normal = 0
    widths = []
    for k in range(runs):
        sums, truth, n = run(world, rounds, share, np.random.default_rng([seed, k]))
        contrasts = [contrast(row.tolist()) for row in sums]
        intervals = [difference_interval(each) if each is not None else None for each in contrasts]
        checked = [(interval, true) for interval, true in zip(intervals, truth, strict=True) if interval is not None]
        covered += all(low <= true <= high for (low, high), true in checked)
        normal += all(
            abs(each.baseline - each.policy - true) <= 1.96 * each.stderr
            for each, interval, true in zip(contrasts, intervals, truth, strict=True)
            if each is not None and interval is not None
        )
        low, high = checked[-1][0]
        widths.append((high - low) / 2 / abs(contrasts[-1].baseline))
    return (
        f"{world.name:<30} {covered / runs:7.1%} {normal / runs:16.1%} {np.median(widths):14.1%}"
        f"   (last: {n[-1]:,.0f} requests, {contrasts[-1].effective:,.0f} effective)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.rounds * options.share < _LEAST_DRAWN:
        least = math.ceil(_LEAST_DRAWN / options.share)
        parser.error(f"--rounds: of a slice of {options.share:g}, an interval takes {least:,} at least")
    print(f"{options.runs} runs of {options.rounds:,} requests, a slice of {options.share:g}, {_LOOKS} looks at most")
    print(f"{'costs':<30} {'covered':>7} {'1.96 std errors':>16} {'+- by baseline':>14}")
    for world in _WORLDS:
        print(coverage(world, runs=options.runs, rounds=options.rounds, share=options.share, seed=options.seed))
    sums, draw, times = ContrastSums(), ControlDraw(0.01, 1.0, is_control=False), 20_000
    begun = time.perf_counter()
    for _ in range(times):
        sums.add(draw, 0.4, 0.002)
    print(f"to add a decision: {(time.perf_counter() - begun) / times * 1e6:.1f} us")


if __name__ == "__main__":
    main()
