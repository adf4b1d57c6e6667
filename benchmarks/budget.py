"""How well a ceiling on dollars per request is kept, in every window and not only on average, and what it buys.

    python -m benchmarks.budget TABLE... [--seeds 5] [--rounds 20000] [--share S]... [--policy P] [--measured | --soft]

Eight arms spread over the range of mean quality, prompts that have a price for each of them, shuffled; cost weight 0
(the ceiling alone makes arms dear), shipped features. A ceiling lies a share of the way from the mean cost of the
cheapest arm to that of the dearest. What a call can cost at most is known, as prices and a limit on the answer's tokens
make it: what the arm's dearest answer in the table costs. With `--measured` nobody knows it, and it is taken from
the calls that were made.

Printed per table and ceiling, over all seeds: the highest mean metered cost of any 500 rounds in a row after the first
200, over the ceiling, and what the dearest single call adds to such a mean; the share of these windows that are at
most 1% above; the share of the ceiling that was spent after the first 200; mean quality, and that of the static mixture
of arms which costs as much as the ceiling allows, known beforehand.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.pacer import Pacer
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Query
from highwayman.sims.measures.budget import SETTLING, WINDOW, budget_compliance
from highwayman.sims.measures.hull import Hull
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.worlds.budget import Budget
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs at a ceiling have in common."""

    share: float  # of the way from the cheapest arm to the dearest
    policy: str
    rounds: int
    floor: float
    hard: bool
    knows_most: bool  # whether it is known beforehand what the dearest answer of an arm costs


@dataclass(frozen=True, slots=True)
class Kept:
    """How one run kept its ceiling; costs as shares of it."""

    worst: float  # of the windows
    within: float  # share of the windows at most 1% above
    call: float  # what the dearest call adds to a window's mean
    used: float
    quality: float
    mixture: float  # the static mixture's quality


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--floor", type=float, default=0.02)
    parser.add_argument("--share", type=float, action="append", dest="shares")
    parser.add_argument("--policy", default="LinTS")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--soft", action="store_true", help="arms are made dear, but never barred")
    kinds.add_argument("--measured", action="store_true", help="nobody knows what a call can cost at most")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    encoder = make_encoder("static")
    for path in options.tables:
        table = read_table(path).spread(8)
        table = table.take(np.isfinite(table.cost_usd).all(axis=1))
        contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        knows_most = not (options.soft or options.measured)
        setting = Setting(0.0, options.policy, options.rounds, options.floor, not options.soft, knows_most)
        mode = ", soft" if options.soft else ", measured" if options.measured else ""
        print(
            f"{path.stem}: {setting.policy}, {options.seeds} seeds of {setting.rounds:,}, floor {setting.floor}{mode}"
        )
        quality, usd = table.quality.mean(axis=0), table.cost_usd.mean(axis=0)
        best = int(quality.argmax())
        print(
            f"best fixed: {table.arms[best]}, quality {quality[best]:.4f} at ${1000 * usd[best]:.4g} per 1k, no ceiling"
        )
        print(f"{'share':>7}{'worst':>9}{'a call':>8}{'within':>9}{'used':>7}{'quality':>9}{'mixture':>9}")
        with ProcessPoolExecutor(options.processes) as pool:
            for share in options.shares or SHARES:
                one = partial(run, table, contexts, replace(setting, share=share))
                print(line(share, list(pool.map(one, range(options.seeds)))), flush=True)
    encoder.close()


def run(table: FullTable, contexts: Sequence[Context], setting: Setting, seed: int) -> Kept:
    """Return how one seed's run kept the ceiling."""
    scenario = draw_scenario(table, [Budget(share=setting.share)], rounds=setting.rounds, seed=seed)
    ceiling = scenario.budget_usd or 0.0
    path, options = parse_policy(setting.policy)
    policy = load_policy(path, d=len(contexts[0].features), fingerprint=contexts[0].fingerprint, options=options)
    draws = generator(seed, "draws")
    pacer = Pacer(ceiling, hard=setting.hard)
    most_usd = table.cost_usd.max(axis=0) if setting.knows_most else None
    router = SimulatedRouter(Objective("auto", 0.0), ExplorationRules(setting.floor), pacer=pacer, most_usd=most_usd)
    done = simulate(
        policy,
        scenario,
        contexts,
        router=router,
        rng=draws,
    )
    cost, quality = done.cost_usd(scenario), done.quality(scenario)
    kept = budget_compliance(cost, ceiling)
    hull = Hull.of(table.cost_usd.mean(axis=0), table.quality.mean(axis=0))
    return Kept(
        kept.worst,
        kept.within,
        float(cost[SETTLING:].max()) / WINDOW / ceiling,
        float(cost[SETTLING:].mean()) / ceiling,
        float(quality[SETTLING:].mean()),
        float(hull.quality_at(ceiling)),
    )


def line(share: float, runs: Sequence[Kept]) -> str:
    """Return a ceiling's line of the table: the worst window of all runs, else means over them."""
    worst, call = max(one.worst for one in runs), max(one.call for one in runs)
    within, used = np.mean([one.within for one in runs]), np.mean([one.used for one in runs])
    quality, mixture = np.mean([one.quality for one in runs]), np.mean([one.mixture for one in runs])
    return f"{share:7g}{worst:9.4f}{call:8.3f}{within:9.4f}{used:7.3f}{quality:9.4f}{mixture:9.4f}"


if __name__ == "__main__":
    main()
