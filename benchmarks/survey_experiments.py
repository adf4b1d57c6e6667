"""The surveys' first experiments, on synthetic pools whose true quality is known (docs/explanation/surveys.md).

    python -m benchmarks.survey_experiments [--seeds 5] [--rounds 4000] [--policy HierTS]

An arm of s billion parameters answers a query of difficulty d right with probability 1 / (1 + exp(3 (d - log10 s)));
its dollars and seconds grow with s and with the tokens of an answer, which grow with d. A policy sees d with noise, and
learns from right and wrong alone. Printed are

1. the Inference Efficiency Score (arXiv 2506.06579) of a pool of 1, 8, 30 and 100 billion while the mix of queries
   changes: mostly easy, even, mostly hard, each for so many rounds. `mean` is the score as the survey has it, a mean of
   quotients, which the cheapest calls rule; `ratio` is mean benefit over mean dollars.
2. routing accuracy: the share of queries, in the last half of the rounds, that went to the arm truly best after the
   price of quality, by the size of the smaller of two arms (the other has 100 billion) and by how far difficulties
   spread (the standard deviation of d). In brackets, what always taking the better one of the two is right in.

Privacy rules under a simulated regulation: `benchmarks/regulation.py`.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.cost.efficiency import inference_efficiencies
from highwayman.env.cost.objective import POINT, Objective
from highwayman.env.types import Context, Floats
from highwayman.sims.simulation.drawing import generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import Scenario, stationary
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.tables.table import FullTable

SIZES = (1.0, 8.0, 30.0, 100.0)  # billions of parameters
MIXES = {"mostly easy": (0.8, 0.15, 0.05), "even": (1 / 3, 1 / 3, 1 / 3), "mostly hard": (0.05, 0.15, 0.8)}
DIFFICULTIES = (-0.5, 0.9, 1.8)  # easy, middling, hard, in powers of ten of the size that answers half of them
SMALLER, SPREADS = (1.0, 10.0, 50.0), (0.0, 0.3, 0.6, 1.2)
NOISE = 0.3  # standard deviation of difficulty as it is seen
FINGERPRINT = "synthetic/1"
WEIGHT_POINTS = 15.0  # that the dearest arm's mean call must be better by than the cheapest's
SECONDS_AT_ALPHA = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """n queries, and what K arms are truly worth on them."""

    table: FullTable  # with answers right or wrong
    chances: Floats  # (n, K) to be right
    contexts: list[Context]

    @property
    def objective(self) -> Objective:
        """What a dollar counts."""
        costs = self.table.cost_usd.mean(axis=0)
        return Objective("auto", WEIGHT_POINTS / float(costs.max() - costs.min()))

    def scenario(self) -> Scenario:
        """Return the queries in the order they were drawn."""
        shuffled = stationary(self.table, rounds=self.table.n, rng=generator(0, "prompts"))
        ordered = shuffled.reordered(np.argsort(shuffled.rows))
        return ordered.replace(at=shuffled.at)


def draw_pool(sizes: tuple[float, ...], difficulty: Floats, rng: np.random.Generator) -> Pool:
    """Return a pool of arms of these sizes for queries of this difficulty (n,)."""
    log_sizes, size = np.log10(sizes), np.array(sizes)
    chances = 1.0 / (1.0 + np.exp(3.0 * (difficulty[:, None] - log_sizes)))
    tokens = 200.0 * np.exp(0.5 * difficulty + 0.3 * rng.standard_normal(len(difficulty)))[:, None]
    table = FullTable.from_arrays(
        tuple(f"{billions:g}B" for billions in sizes),
        (rng.random(chances.shape) < chances).astype(np.float64),
        cost_usd=tokens * size * 1e-8,
        latency_s=tokens * (0.005 + 0.0003 * size),
    )
    seen = difficulty + NOISE * rng.standard_normal(len(difficulty))
    features = np.column_stack([seen, seen**2, np.ones(len(seen))]).astype(np.float32).astype(np.float64)
    return Pool(table, chances, [Context(row, FINGERPRINT, prompt_tokens=100) for row in features])


def learned_choices(pool: Pool, policy_name: str, seed: int) -> Floats:
    """Return the probabilities (n, K) of a policy that starts from nothing."""
    path, options = parse_policy(policy_name)
    policy = load_policy(path, d=len(pool.contexts[0].features), fingerprint=FINGERPRINT, options=options)
    router = SimulatedRouter(pool.objective, ExplorationRules(0.02, floor_loss=FLOOR_LOSS), predicts=False)
    draws = generator(seed, "draws")
    return simulate(policy, pool.scenario(), pool.contexts, router=router, rng=draws, frozen_for=10).probs


def efficiency(pool: Pool, probs: Floats, rows: slice) -> tuple[float, float, float]:
    """Return quality, the survey's score and the ratio of means, of choices (n, K) on some of the queries."""
    table, weights = pool.table, probs[rows]
    shape = weights.shape
    quality, seconds, usd = pool.chances[rows], table.latency_s[rows], table.cost_usd[rows]
    flat = inference_efficiencies(quality.ravel(), seconds.ravel(), usd.ravel(), alpha=SECONDS_AT_ALPHA)
    benefit = SECONDS_AT_ALPHA * quality + (1 - SECONDS_AT_ALPHA) / (1 + seconds)
    ratio = (weights * benefit).sum() / (1000 * (weights * usd).sum())
    mean_score = float((weights * flat.reshape(shape)).sum(axis=1).mean())
    return float((weights * quality).sum(axis=1).mean()), mean_score, float(ratio)


def changing_mixes(policy: str, rounds: int, seeds: int) -> None:
    """Print the first experiment."""
    ways = (*(f"always {size:g}B" for size in SIZES), "random", policy, "foresight")
    found = np.empty((seeds, len(ways), len(MIXES), 3))
    for seed in range(seeds):
        rng = generator(seed, "mixes")
        kinds = np.concatenate([rng.choice(3, size=rounds, p=mix) for mix in MIXES.values()])
        pool = draw_pool(SIZES, np.array(DIFFICULTIES)[kinds] + 0.2 * rng.standard_normal(len(kinds)), rng)
        k = len(SIZES)
        utility = pool.chances - POINT * pool.objective.points_per_usd * pool.table.cost_usd
        choices = [np.tile(np.eye(k)[arm], (pool.table.n, 1)) for arm in range(k)]
        choices += [np.full((pool.table.n, k), 1 / k), learned_choices(pool, policy, seed)]
        choices.append(np.eye(k)[utility.argmax(axis=1)])
        for way, probs in enumerate(choices):
            for phase in range(len(MIXES)):
                found[seed, way, phase] = efficiency(pool, probs, slice(phase * rounds, (phase + 1) * rounds))
    print(f"IES under changing mixes: {seeds} seeds of {len(MIXES)} x {rounds:,} rounds")
    print(" " * 16 + "".join(f"{mix:>30}" for mix in MIXES))
    print(" " * 16 + "".join(f"{'quality':>10}{'mean':>10}{'ratio':>10}" for _ in MIXES))
    for way, name in enumerate(ways):
        cells = found[:, way].mean(axis=0)
        print(f"  {name:14}" + "".join(f"{quality:10.3f}{mean:10.2f}{ratio:10.2f}" for quality, mean, ratio in cells))


def routing_accuracy(policy: str, rounds: int, seeds: int) -> None:
    """Print the second experiment."""
    print(f"\nrouting accuracy, {seeds} seeds of {rounds:,} rounds, beside an arm of 100B")
    print(f"{'smaller arm':>14}" + "".join(f"{f'spread {spread:g}':>24}" for spread in SPREADS))
    for smaller in SMALLER:
        cells = []
        for spread in SPREADS:
            rights = np.empty((seeds, 2))
            for seed in range(seeds):
                rng = generator(seed, "sizes")
                pool = draw_pool((smaller, 100.0), 0.75 + spread * rng.standard_normal(rounds), rng)
                utility = pool.chances - POINT * pool.objective.points_per_usd * pool.table.cost_usd
                best, rows = utility.argmax(axis=1), np.arange(rounds)
                probs, last = learned_choices(pool, policy, seed), slice(rounds // 2, None)
                always = int(utility.mean(axis=0).argmax())
                rights[seed] = probs[rows, best][last].mean(), (best[last] == always).mean()
            accuracy, fixed = rights.mean(axis=0)
            cells.append(f"{accuracy:.3f} ± {rights[:, 0].std():.3f} ({fixed:.3f})")
        print(f"{smaller:13g}B" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=4_000)
    parser.add_argument("--policy", default="HierTS")
    options = parser.parse_args()
    changing_mixes(options.policy, options.rounds, options.seeds)
    routing_accuracy(options.policy, options.rounds, options.seeds)


if __name__ == "__main__":
    main()
