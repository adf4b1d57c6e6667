"""Which policy learns visibly from tens of thumbs: the local pool's table, many orders of its prompts.

    python -m scripts.measure_arms --prompts 240 --seed 101 --out answers.jsonl
    python -m benchmarks.small_pool answers.jsonl [--seeds 40] [--policy NAME[:option=value,...]]...

Every prompt comes once, in an order of each seed's own; the arm that was drawn gets a thumb, and the policy learns of
three at a time, as when three are in flight. Printed for each policy is the quality of each 20 thumbs: its mean over
the seeds, and below it the standard deviation of one seed; last, over all prompts, reward: quality minus the penalty
that `auto` has for cost.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.cost.objective import AUTO, Objective
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.simulation.drawing import generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import Scenario, stationary
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

POLICIES = ("HierTS", "LinTS", "LinUCB", "KNearest", "Uniform")
IN_FLIGHT = 3
THUMBS = 20  # of which quality is averaged


def main() -> None:
    """Parse the arguments, simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--policy", action="append", dest="policies")
    parser.add_argument("--points-per-usd", type=float, default=840_000.0, help="as `up` says of the local pool")
    options = parser.parse_args()
    table = read_table(options.table)
    encoder = make_encoder("static")
    try:
        contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
    finally:
        encoder.close()
    objective = Objective(AUTO, options.points_per_usd)
    ends = range(THUMBS, table.n + 1, THUMBS)
    print(f"{table.n} prompts, {options.seeds} seeds; quality of each {THUMBS} thumbs, and one seed's deviation")
    print(f"{'thumbs up to':<28}{''.join(f'{end:>5}' for end in ends)}  reward")
    for spec in options.policies or POLICIES:
        runs = [quality_and_reward(spec, table, contexts, objective, seed=seed) for seed in range(options.seeds)]
        quality = np.array([run[0] for run in runs])  # (seeds, stretches)
        rewards = np.array([run[1] for run in runs])  # (seeds,)
        print(f"{spec[:27]:<28}{cells(quality.mean(axis=0))}  {rewards.mean():.3f}", flush=True)
        print(f"{spec[27:54]:<28}{cells(quality.std(axis=0, ddof=1))}  {rewards.std(ddof=1):.3f}", flush=True)
    best = best_by_task(table)
    print(f"{'best arm of each kind':<28}{' ' * 5 * (len(ends) - 1)}{best:5.2f}")


def quality_and_reward(
    spec: str, table: FullTable, contexts: Sequence[Context], objective: Objective, *, seed: int
) -> tuple[Floats, float]:
    """Return the quality of each stretch of thumbs under one seed, and the mean reward of all."""
    scenario: Scenario = stationary(table, rounds=table.n, rng=generator(seed, "prompts"))
    path, options = parse_policy(spec)
    policy = load_policy(path, d=contexts[0].features.size, fingerprint=contexts[0].fingerprint, options=options)
    router = SimulatedRouter(objective, ExplorationRules(0.02, floor_loss=FLOOR_LOSS))
    run = simulate(policy, scenario, contexts, router=router, rng=generator(seed, "draws"), frozen_for=IN_FLIGHT)
    taken = np.arange(table.n), run.actions
    quality = scenario.quality[taken]
    whole = table.n // THUMBS * THUMBS
    rewards = quality - scenario.penalties(objective)[taken]
    return quality[:whole].reshape(-1, THUMBS).mean(axis=1), float(rewards.mean())


def best_by_task(table: FullTable) -> float:
    """Return the quality of taking for each kind of prompt the arm that is best at it, in hindsight."""
    tasks = np.array(table.tasks)
    return float(np.mean([table.quality[tasks == task].mean(axis=0).max() for task in sorted(set(table.tasks))]))


def cells(values: Floats) -> str:
    """Return numbers in columns, without their zeros."""
    return "".join(f"{value:5.2f}".replace("0.", " .") for value in values)


if __name__ == "__main__":
    main()
