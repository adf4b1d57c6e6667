"""What a tag is worth: the same policy with and without what callers know, the seeds paired.

    python -m benchmarks.tags TABLE... [--tag task] [--only NAME] [--seeds 20] [--shipped] [--shuffled]

As in `benchmarks.learning`: eight arms spread over the range of mean quality, feedback at once and on the chosen arm
only, cost weight 0, the features of each table made without it. Floor and policy are the defaults. Printed per table,
as means over seeds and their standard deviation, over the first 2,000 rounds and over the last 5,000: what is earned
beyond the best fixed arm without and with the tag, and the difference of the two on the same seed. With `--shuffled`
the same column in another order, too, which tells nothing: what a useless tag costs.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.learning_data import held_out, shipped, specialists
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.types import Floats
from highwayman.sims.sweeps.machines import Machines
from highwayman.sims.sweeps.plan import TAGS, Plan
from highwayman.sims.sweeps.prepared import prepare
from highwayman.sims.sweeps.results import BEST_FIXED
from highwayman.sims.sweeps.sweep import sweep
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

FIRST, LAST, BIN = 2_000, 5_000, 500


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--tag", choices=list(TAGS), default="task")
    parser.add_argument("--only", action="append", help="of the tables, by name; the others make the features")
    parser.add_argument("--policy", default="HierTS")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("--shuffled", action="store_true")
    options = parser.parse_args()
    tables = [read_table(path) for path in options.tables]
    print(f"{options.seeds} seeds of {options.rounds:,} rounds, {options.policy}, tag {options.tag}")
    print(f"{'beyond the best fixed arm':34}{'first 2,000':>20}{'last 5,000':>20}")
    for place, (path, table) in enumerate(zip(options.tables, tables, strict=True)):
        if options.only is None or path.stem in options.only:
            encoder = shipped() if options.shipped else held_out(tables, place)
            _report(path.stem, table, encoder, options)
    if options.only is None or "specialists" in options.only:
        _report("specialists", specialists(tables), shipped(), options)


def _report(name: str, table: FullTable, encoder: Encoder, options: argparse.Namespace) -> None:
    """Print a table's lines."""
    column = TAGS[options.tag]
    order = np.random.default_rng(0).permutation(table.n)
    shuffled = replace(table, **{column: tuple(getattr(table, column)[row] for row in order)})
    print(f"{name}, {len(set(getattr(table, column)))} levels", flush=True)
    without = _earned(table, encoder, options, tags=())
    _print("without", without)
    useless = [("with it shuffled", shuffled)] if options.shuffled else []
    for label, told in ((f"with {options.tag}", table), *useless):
        earned = _earned(told, encoder, options, tags=(options.tag,))
        _print(label, earned)
        _print("  beyond without", earned - without)
    encoder.close()


def _earned(table: FullTable, encoder: Encoder, options: argparse.Namespace, *, tags: Sequence[str]) -> Floats:
    """Return what the policy earns beyond the best fixed arm in each bin of each seed, (seeds, bins)."""
    plan = Plan(
        policies=(options.policy,),
        seeds=options.seeds,
        rounds=options.rounds,
        cost_weights=(0.0,),
        arms=8,
        bins=options.rounds // BIN,
        baselines=("best_fixed",),
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
        for policy in (options.policy, BEST_FIXED)
    ]
    earned, fixed = np.array(curves)
    return np.asarray(earned - fixed)


def _print(label: str, earned: Floats) -> None:
    cells = (earned[:, bins].mean(axis=1) for bins in (slice(FIRST // BIN), slice(-LAST // BIN, None)))
    print(f"  {label:32}" + "".join(f"{f'{cell.mean():+.4f} ± {cell.std():.4f}':>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
