"""What LinTS earns on full-information tables, under several priors: how its defaults were chosen.

    python benchmarks/learning.py TABLE... [--rounds 4000] [--seeds 4] [--arms 8] [--cost-weight 0.15]

A table is long format, as JSON lines or as Parquet (which needs pyarrow): prompt_id, prompt, model, quality, and
cost_usd if there is one. Eight arms spread over the range of mean quality are taken, prompts shuffled, feedback at once
and on the chosen arm only. Prints quality minus penalty over the first fifth and the last third of the rounds: mean and
standard deviation over seeds.
"""

import argparse
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from highwayman.bandit.lin_ts import LinTS
from highwayman.env.encoder import make_encoder
from highwayman.env.objective import penalties
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.rollout import rollout
from highwayman.sims.table import FullTable

GRID = [(1.0, 0.75), (2.0, 0.5), (2.0, 0.75), (2.0, 1.0), (10.0, 0.75), (10.0, 1.0)]


def read(path: Path) -> FullTable:
    """Return the table in `path`."""
    if path.suffix != ".parquet":
        return FullTable.read_jsonl(path)
    rows: Iterable[Mapping[str, Any]] = import_module("pyarrow.parquet").read_table(path).to_pylist()
    return FullTable.of((row for row in rows if row["quality"] is not None), name=path.name)


def spread(table: FullTable, arms: int) -> FullTable:
    """Return the table of `arms` arms spread evenly over the order of mean quality."""
    order = np.argsort(table.quality.mean(axis=0))
    pick = order[np.unique(np.linspace(0, len(order) - 1, min(arms, len(order))).astype(int))]
    names = tuple(table.arms[k] for k in pick)
    return FullTable.made(
        names, table.quality[:, pick], prompts=table.prompts, tasks=table.tasks, cost_usd=table.cost_usd[:, pick]
    )


def measure(table: FullTable, contexts: list[Context], penalty: Floats, arguments: argparse.Namespace) -> None:
    """Print one row for each prior of the grid."""
    utility = table.quality - penalty
    best, oracle = utility.mean(axis=0).max(), utility.max(axis=1).mean()
    print(f"  best fixed {best:.4f}   random {utility.mean():.4f}   oracle {oracle:.4f}")
    rounds = arguments.rounds
    for precision, exploration in GRID:
        first, last = [], []
        for seed in range(arguments.seeds):
            policy = LinTS(d=len(contexts[0].features), prior_precision=precision, exploration=exploration)
            rng = np.random.default_rng(seed)
            rewards = rollout(policy, table, contexts, penalty, rounds=rounds, floor=0.02, rng=rng).rewards
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
        table = spread(read(path), arguments.arms)
        contexts = encoder.contexts_of([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        costs = table.mean_costs()
        penalty = penalties(costs, pool_usd=costs, cost_weight=arguments.cost_weight)
        size = f"{table.n} prompts, {len(table.arms)} arms"
        print(f"{path.name}: {size}, {arguments.rounds} rounds, {arguments.seeds} seeds")
        measure(table, contexts, penalty, arguments)
    encoder.close()


if __name__ == "__main__":
    main()
