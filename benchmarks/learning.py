"""What LinTS earns on full-information tables, under several priors: how its defaults were chosen.

    python benchmarks/learning.py TABLE... [--rounds 4000] [--seeds 4] [--arms 8] [--cost-weight 0.15]

A table is a file in one of the formats of docs/tables.md. Eight arms spread over the range of mean quality are taken,
prompts shuffled, feedback at once and on the chosen arm only. Prints quality minus penalty over the first fifth and the
last third of the rounds: mean and standard deviation over seeds.
"""

import argparse
from pathlib import Path

import numpy as np

from highwayman.bandit.lin_ts import LinTS
from highwayman.env.encoder import make_encoder
from highwayman.env.types import Context, Query
from highwayman.sims.simulation import draw_course, generator, simulate
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

GRID = [(1.0, 0.75), (2.0, 0.5), (2.0, 0.75), (2.0, 1.0), (10.0, 0.75), (10.0, 1.0)]


def measure(table: FullTable, contexts: list[Context], arguments: argparse.Namespace) -> None:
    """Print one row for each prior of the grid."""
    rounds, cost_weight = arguments.rounds, arguments.cost_weight
    courses = [draw_course(table, [], rounds=rounds, seed=seed) for seed in range(arguments.seeds)]
    utility = table.quality - courses[0].penalties(cost_weight)[0]
    best, oracle = utility.mean(axis=0).max(), utility.max(axis=1).mean()
    print(f"  best fixed {best:.4f}   random {utility.mean():.4f}   oracle {oracle:.4f}")
    for precision, exploration in GRID:
        first, last = [], []
        for seed, course in enumerate(courses):
            policy = LinTS(d=len(contexts[0].features), prior_precision=precision, exploration=exploration)
            rng = generator(seed, "draws")
            run = simulate(policy, course, contexts, cost_weight=cost_weight, floor=0.02, rng=rng)
            rewards = run.utility(course)
            first.append(rewards[: rounds // 5].mean())
            last.append(rewards[-rounds // 3 :].mean())
        early, late = (f"{np.mean(part):.4f} +- {np.std(part):.4f}" for part in (first, last))
        row = f"  prior_precision {precision:4.1f} exploration {exploration:.2f}"
        print(f"{row}:   first fifth {early}   last third {late}", flush=True)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--arms", type=int, default=8)
    parser.add_argument("--cost-weight", type=float, default=0.15)
    arguments = parser.parse_args()
    encoder = make_encoder("static")
    for path in arguments.tables:
        table = read_table(path).spread(arguments.arms)
        contexts = encoder.contexts_of([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        size = f"{table.n} prompts, {len(table.arms)} arms"
        print(f"{path.name}: {size}, {arguments.rounds} rounds, {arguments.seeds} seeds")
        measure(table, contexts, arguments)
    encoder.close()


if __name__ == "__main__":
    main()
