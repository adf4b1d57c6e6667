"""What policies learn on full-information tables, beside what could be had.

    python -m benchmarks.learning TABLE... [--seeds 20] [--shipped] [--policy NAME[:option=value,...]]...

A table is a file in one of the formats of docs/reference/tables.md. Eight arms spread over the range of mean quality
are taken, prompts shuffled, feedback at once and on the chosen arm only, 20,000 rounds, from nothing. The features of
each table are of the shipped kind, but with projection and clusters fitted on the prompts of the other tables
(`--shipped`: as shipped, whose clusters have seen the prompts of the tables they were made from, never an answer).

Printed per table, cost weight and policy, as means over seeds and their standard deviation: what the policy earns over
the first 2,000 rounds beyond the default policy without contexts; what over the last 5,000 beyond the best fixed
arm, and beyond ridge regression with full information on the same features, out of fold.
Then a stream of specialists, eight kinds of query from all tables and an arm that is good at each: how much of the way
from the best fixed arm to the best arm of each kind is gone, over 5,000 rounds and at their end.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learning_data import held_out, shipped, specialists
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.types import Floats
from highwayman.sims.sweeps.machines import Machines
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import prepare
from highwayman.sims.sweeps.results import BEST_FIXED, Results
from highwayman.sims.sweeps.standings import label_of
from highwayman.sims.sweeps.sweep import sweep
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

# The default to which no feature ever counts: its noise is fitted, and its exploration shrinks, as the default's.
BLIND = "HierTS:final_precision=1e9,shared_precision=1e9"
POLICIES = ("HierTS", "LinTS", "LinUCB", "SquareCB")
BINS = 40


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--floor", type=float, help="spread evenly; if not given, a router's")
    parser.add_argument("--cost-weight", type=float, action="append", dest="weights")
    parser.add_argument("--policy", action="append", dest="policies")
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("--frozen-for", type=int, default=1, help="rounds between two updates: 10 take half the time")
    options = parser.parse_args()
    tables = [read_table(path) for path in options.tables]
    policies = tuple(dict.fromkeys([BLIND, *(options.policies or POLICIES)]))
    floor, loss = (0.02, FLOOR_LOSS) if options.floor is None else (options.floor, None)
    spread = "spread evenly" if loss is None else f"that loses {loss:g} a round"
    often = f", learning every {options.frozen_for} rounds" if options.frozen_for > 1 else ""
    print(
        f"{options.seeds} seeds of {options.rounds:,} rounds, exploration floor {floor:g} {spread}{often}", flush=True
    )
    print(f"{'':40}{'first 2,000':>20}{'last 5,000':>20}{'last 5,000':>20}")
    print(f"{'':40}{'over no context':>20}{'over best fixed':>20}{'over ridge':>20}")
    for place, (path, table) in enumerate(zip(options.tables, tables, strict=True)):
        encoder = shipped() if options.shipped else held_out(tables, place)
        for weight in options.weights or (0.0, 0.15):
            problem = cost_problem(table, weight)
            if problem:
                print(f"{path.stem}, cost weight {weight:g}: not run, {problem}", flush=True)
                continue
            plan = Plan(
                policies=policies,
                seeds=options.seeds,
                rounds=options.rounds,
                cost_weights=(weight,),
                arms=8,
                bins=BINS,
                floor=floor,
                floor_loss=loss,
                frozen_for=options.frozen_for,
                baselines=("best_fixed", "ridge"),
            )
            print(f"{path.stem}, cost weight {weight:g}", flush=True)
            _report(_run(plan, path.stem, table, encoder), policies)
        encoder.close()
    _specialists(tables, policies, seeds=options.seeds, floor=floor, floor_loss=loss, frozen_for=options.frozen_for)


def cost_problem(table: FullTable, weight: float) -> str:
    """Return why costs cannot be weighed on a table, in words; empty where they can, or where cost does not count."""
    missing = [arm for arm, cost in zip(table.arms, table.mean_costs(), strict=True) if cost is None]
    if not (weight and missing):
        return ""
    return f"as the table lacks costs of {', '.join(missing)}"


def _run(plan: Plan, name: str, table: FullTable, encoder: Encoder) -> Results:
    plan.check()
    prepared = prepare(name, table, encoder, plan)
    return sweep(plan, [prepared], machines=Machines(-1), progress=lambda done, of: None, manifest={})


def _curve(results: Results, policy: str) -> Floats:
    """Return the mean value of each bin of each seed, (seeds, bins)."""
    seeds = sorted({one.seed for one in results.curves})
    return np.array([[one.value for one in results.curves if one.policy == policy and one.seed == seed]
                     for seed in seeds])  # fmt: skip


def _report(results: Results, policies: Sequence[str]) -> None:
    """Print one line a policy."""
    rounds = results.runs[0].rounds
    first, last = BINS * 2_000 // rounds, BINS * 5_000 // rounds
    blind, fixed, ridge = (_curve(results, name) for name in (BLIND, BEST_FIXED, "ridge"))
    for policy in (BEST_FIXED, *policies):
        curve = _curve(results, policy)
        early = curve[:, :first].mean(axis=1) - blind[:, :first].mean(axis=1)
        late = [curve[:, -last:].mean(axis=1) - other[:, -last:].mean(axis=1) for other in (fixed, ridge)]
        cells = "".join(f"{f'{one.mean():+.4f} ± {one.std():.4f}':>20}" for one in (early, *late))
        print(f"  {_named(results, policy):38}{cells}", flush=True)


def _named(results: Results, policy: str) -> str:
    return "no context" if policy == BLIND else label_of(results.cases()[0], policy)


def _specialists(tables: Sequence[FullTable], policies: Sequence[str], **options: Any) -> None:
    """Print how much of the gap is closed within 5,000 rounds, under options of the `Plan`."""
    plan = Plan(
        policies=policies,
        rounds=5_000,
        cost_weights=(0.0,),
        bins=10,
        baselines=("best_fixed", "task_mean", "ridge"),
        **options,
    )
    results = _run(plan, "specialists", specialists(tables), shipped())
    fixed, best = (_curve(results, name) for name in (BEST_FIXED, "task mean"))
    print("specialists in one stream, shipped features: share of the gap closed")
    print(f"{'':40}{'5,000 rounds':>20}{'the last 1,000':>20}")
    for policy in (BEST_FIXED, *policies, "ridge"):
        curve = _curve(results, policy)
        shares = [
            (curve[:, bins].mean(axis=1) - fixed[:, bins].mean(axis=1))
            / (best[:, bins].mean(axis=1) - fixed[:, bins].mean(axis=1))
            for bins in (slice(None), slice(-2, None))
        ]
        cells = "".join(f"{f'{one.mean():.3f} ± {one.std():.3f}':>20}" for one in shares)
        print(f"  {_named(results, policy):38}{cells}", flush=True)


if __name__ == "__main__":
    main()
