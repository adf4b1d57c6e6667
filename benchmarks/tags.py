"""What a tag is worth: the same policy with and without what callers know, the seeds paired.

    python -m benchmarks.tags TABLE... [--tag task] [--only NAME] [--seeds 20] [--frozen-for 1] [--shipped] [--shuffled]

As in `benchmarks.learning`: eight arms spread over the range of mean quality, feedback at once and on the chosen arm
only, cost weight 0, the features of each table made without it. Floor and policy are a router's. Printed per table,
as means over seeds and their standard deviation, over the first 2,000 rounds, the 1,000 before the 5,000th and the last
5,000: what is earned beyond the best fixed arm without and with the tag, and the difference of the two on the same
seed. With `--shuffled` the same column in another order, too, which tells nothing: what a useless tag costs. Last, of
a stream of specialists (`--only specialists`: of it alone), the share of the gap between the best fixed arm and the
best arm of each kind that is closed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.learning_data import held_out, shipped, specialists
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.types import Floats
from highwayman.sims.sweeps.machines import Machines
from highwayman.sims.sweeps.plan import TAGS, Plan
from highwayman.sims.sweeps.prepared import prepare
from highwayman.sims.sweeps.results import BEST_FIXED
from highwayman.sims.sweeps.sweep import sweep
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

BIN = 500
PARTS = slice(2_000 // BIN), slice(4_000 // BIN, 5_000 // BIN), slice(-5_000 // BIN, None)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--tag", choices=list(TAGS), default="task")
    parser.add_argument("--only", action="append", help="of the tables, by name; the others make the features")
    parser.add_argument("--policy", default="HierTS")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--frozen-for", type=int, default=1, help="rounds between two updates")
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("--shuffled", action="store_true")
    options = parser.parse_args()
    tables = [read_table(path) for path in options.tables]
    often = f", learning every {options.frozen_for} rounds" if options.frozen_for > 1 else ""
    print(f"{options.seeds} seeds of {options.rounds:,} rounds, {options.policy}, tag {options.tag}{often}")
    print(f"{'beyond the best fixed arm':34}{'first 2,000':>20}{'4,000 to 5,000':>20}{'last 5,000':>20}")
    for place, (path, table) in enumerate(zip(options.tables, tables, strict=True)):
        if options.only is None or path.stem in options.only:
            encoder = shipped() if options.shipped else held_out(tables, place)
            _report(path.stem, table, encoder, options)
    if options.only is None or "specialists" in options.only:
        _report("specialists", specialists(tables), shipped(), options, shares=True)


def _report(
    name: str, table: FullTable, encoder: Encoder, options: argparse.Namespace, *, shares: bool = False
) -> None:
    """Print a table's lines."""
    column = TAGS[options.tag]
    order = np.random.default_rng(0).permutation(table.n)
    shuffled = replace(table, **{column: tuple(getattr(table, column)[row] for row in order)})
    print(f"{name}, {len(set(getattr(table, column)))} levels", flush=True)
    without, gap = _earned(table, encoder, options, tags=())
    _print("without", without, gap if shares else None)
    useless = [("with it shuffled", shuffled)] if options.shuffled else []
    for label, told in ((f"with {options.tag}", table), *useless):
        earned, _ = _earned(told, encoder, options, tags=(options.tag,))
        _print(label, earned, gap if shares else None)
        _print("  beyond without", earned - without)
    encoder.close()


def _earned(table: FullTable, encoder: Encoder, options: argparse.Namespace, *, tags: Sequence[str]) -> list[Floats]:
    """Return what the policy and the best arm of each task earn beyond the best fixed arm, (seeds, bins) each."""
    plan = Plan(
        policies=(options.policy,),
        seeds=options.seeds,
        rounds=options.rounds,
        cost_weights=(0.0,),
        arms=8,
        bins=options.rounds // BIN,
        floor_loss=FLOOR_LOSS,
        frozen_for=options.frozen_for,
        baselines=("best_fixed", "task_mean"),
        tags=tuple(tags),
    )
    plan.check()
    prepared = prepare("table", table, encoder, plan)
    results = sweep(plan, [prepared], machines=Machines(options.jobs), progress=lambda done, of: None, manifest={})
    curves = [
        [
            [curve_bin.value for curve_bin in results.curves if (curve_bin.policy, curve_bin.seed) == (policy, seed)]
            for seed in range(options.seeds)
        ]
        for policy in (options.policy, "task mean", BEST_FIXED)
    ]
    earned, best, fixed = np.array(curves)
    return [earned - fixed, best - fixed]


def _print(label: str, earned: Floats, gap: Floats | None = None) -> None:
    parts = [earned[:, bins].mean(axis=1) for bins in PARTS]
    _print_line(label, [f"{part.mean():+.4f} ± {part.std():.4f}" for part in parts])
    if gap is not None:
        closed = [part / gap[:, bins].mean(axis=1) for part, bins in zip(parts, PARTS, strict=True)]
        _print_line("  of the gap", [f"{share.mean():.3f} ± {share.std():.3f}" for share in closed])


def _print_line(label: str, cells: Sequence[str]) -> None:
    print(f"  {label:32}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
