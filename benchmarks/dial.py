"""What turning the cost dial reaches: quality against dollars, beside what fixed mixtures of arms reach.

    python -m benchmarks.dial TABLE... [--seeds 20] [--settings 9] [--policy HierTS] [--floor SHARE] [--frozen-for 1]

Eight arms spread over the range of mean quality, 20,000 rounds from nothing, shipped features, a router's exploration
floor, or one that is spread evenly. The dial stands at so many settings over the table's useful range, in points of
quality per dollar. Printed per table, of all rounds and of the last 5,000: AIQ (docs/reference/measures.md) beside the
static hull's, and what the policy needs for a quality one point below the best arm's, as a share of what the best fixed
mixture needs; means over seeds and their standard deviation. `foresight` is a choice that knows every answer
beforehand: it tells whether the dial itself loses anything.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.measures.hull import Hull
from highwayman.sims.measures.tradeoff import aiq, cost_at_equal_quality
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.sweeps.dial import useful_points_per_usd
from highwayman.sims.sweeps.prepared import fixed_penalties
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

LAST = 5_000
PARTS = {"all rounds": slice(None), "the last 5,000": slice(-LAST, None)}


@dataclass(frozen=True, slots=True)
class Settings:
    """What all runs have in common."""

    policy: str
    rounds: int
    floor: float
    floor_loss: float | None  # that the floor may lose a round; None: it is spread evenly
    frozen_for: int  # rounds between two updates


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--settings", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--floor", type=float, help="spread evenly; if not given, a router's")
    parser.add_argument("--frozen-for", type=int, default=1, help="rounds between two updates")
    parser.add_argument("--policy", default="HierTS")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    floor, loss = (0.02, FLOOR_LOSS) if options.floor is None else (options.floor, None)
    spread = "spread evenly" if loss is None else f"that loses {loss:g} a round"
    encoder = make_encoder("static")
    for path in options.tables:
        table = read_table(path).spread(8)
        table = table.take(np.isfinite(table.cost_usd).all(axis=1))
        contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        rates = useful_points_per_usd(table, options.settings)
        print(f"{path.stem}: {options.policy}, {options.seeds} seeds of {options.rounds:,}, floor {floor:g} {spread}")
        print(f"  points per dollar {', '.join(f'{rate:.3g}' for rate in rates)}")
        _print_best_fixed(table)
        _print("foresight", table, _foresight(table, rates)[None])
        trial = partial(run, table, contexts, Settings(options.policy, options.rounds, floor, loss, options.frozen_for))
        with ProcessPoolExecutor(options.processes) as pool:
            pairs = list(product(range(options.seeds), rates))
            reached = np.array(list(pool.map(trial, pairs)))
        by_seed = reached.reshape(options.seeds, len(rates), len(PARTS), 2)
        for place, part in enumerate(PARTS):
            _print(part, table, by_seed[:, :, place])
            means = by_seed[:, :, place].mean(axis=0)
            print("    " + ", ".join(f"{quality:.4f} at {1000 * cost:.4g}" for cost, quality in means), flush=True)
    encoder.close()


def run(
    table: FullTable, contexts: Sequence[Context], settings: Settings, seed_and_rate: tuple[int, float]
) -> list[tuple[float, float]]:
    """Return mean cost and mean quality over each of `PARTS` of one seed's run at a setting of the dial."""
    seed, rate = seed_and_rate
    scenario = draw_scenario(table, [], rounds=settings.rounds, seed=seed)
    path, options = parse_policy(settings.policy)
    policy = load_policy(path, d=len(contexts[0].features), fingerprint=contexts[0].fingerprint, options=options)
    router = SimulatedRouter(Objective("auto", rate), ExplorationRules(settings.floor, floor_loss=settings.floor_loss))
    draws = generator(seed, "draws")
    done = simulate(policy, scenario, contexts, router=router, rng=draws, frozen_for=settings.frozen_for)
    cost, quality = done.cost_usd(scenario), done.quality(scenario)
    return [(float(cost[part].mean()), float(quality[part].mean())) for part in PARTS.values()]


def _foresight(table: FullTable, rates: Sequence[float]) -> Floats:
    """Return mean cost and quality (m, 2) of what is best for each prompt at m rates, at the arms' mean costs."""
    rows, points = np.arange(table.n), []
    for rate in rates:
        choices = (table.quality - fixed_penalties(table, Objective("auto", rate))).argmax(axis=1)
        points.append((table.cost_usd[rows, choices].mean(), table.quality[rows, choices].mean()))
    return np.array(points)


def _print_best_fixed(table: FullTable) -> None:
    """Print what the best fixed arm costs and earns."""
    quality = table.quality.mean(axis=0)
    best = int(quality.argmax())
    print(f"  best fixed: {table.arms[best]}, {quality[best]:.4f} at {1000 * table.cost_usd[:, best].mean():.4g}")


def _print(name: str, table: FullTable, by_seed: Floats) -> None:
    """Print a line of what settings (seeds, m, 2) of mean cost and mean quality come to."""
    arms = table.cost_usd.mean(axis=0), table.quality.mean(axis=0)
    static = Hull.of(*arms)
    level = float(arms[1].max()) - 0.01
    areas, shares = [], []
    for points in by_seed:
        cost, quality = points.T
        areas.append(aiq(cost, quality, arm_cost=arms[0], arm_quality=arms[1]))
        shares.append(cost_at_equal_quality(level, router=Hull.of(cost, quality), static=static))
    hull = aiq(*arms, arm_cost=arms[0], arm_quality=arms[1])
    spent = f"{np.mean(shares):.2f} ± {np.std(shares):.2f}"
    print(f"  {name:16} AIQ {np.mean(areas):.4f} ± {np.std(areas):.4f} (hull {hull:.4f}), a point below at {spent}")


if __name__ == "__main__":
    main()
