"""What looking at answers earns: one plan of routes and cascades, beside routes alone, cascades alone, and thresholds.

    python -m benchmarks.cascades TABLE... [--seeds 5] [--rounds 10000] [--separations 0 0.5 1 2 4] [--settings 1]

Every answer tells one signal, good ones and bad ones `separation` standard deviations apart (`Confidence`,
docs/reference/worlds.md); feedback comes for every answer that is served. Policy and gates begin with nothing, and
learn from that feedback alone.

Printed per table and separation, over all rounds but the first 2,000 (a third of fewer than 6,000): quality minus
penalty, in points of a hundred, at settings of the dial over the table's useful range, means over seeds, of paired
differences ± twice the standard error; the plan's quality over that of fixed thresholds at its cost, along the chain of
arms from the cheapest up (FrugalGPT, AutoMix, margin deferral, by what the signal is), and of the best pair of arms
with the best threshold, both known beforehand; the gates' expected calibration error over the same rounds; and what
those answers are worth that the gates are sure of, which is what a conformal threshold would promise.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations, product
from pathlib import Path

import numpy as np

from highwayman.bandit.cascade.calibration import expected_calibration_error
from highwayman.bandit.cascade.plan import CascadeRules
from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.worlds.confidence import Confidence
from highwayman.sims.sweeps.dial import useful_points_per_usd
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

FIRST = 2_000
PLANS: dict[str, CascadeRules | None] = {
    "routes": None,
    "cascades": CascadeRules(max_stages=3, begin_with_cheapest=True),
    "plan": CascadeRules(max_stages=3),
}
THRESHOLDS = 41
SURE = 0.9


@dataclass(frozen=True, slots=True)
class Reached:
    """What a run came to, over all rounds but the first."""

    utility: float
    quality: float
    usd: float
    asked: float = 1.0  # arms asked a request
    calibration_error: float = np.nan  # expected, of the gates, over the same rounds
    sure: tuple[float, float, float] = (np.nan, np.nan, np.nan)  # of answers judged `SURE` good: share, belief, quality


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--separations", type=float, nargs="+", default=[0.0, 0.5, 1.0, 2.0, 4.0])
    parser.add_argument("--settings", type=int, default=1)
    parser.add_argument("--policy", default="HierTS")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    encoder = make_encoder("static")
    for path in options.tables:
        table = read_table(path).spread(8)
        table = table.take(np.isfinite(table.cost_usd).all(axis=1))
        contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        rates = useful_points_per_usd(table, options.settings + 2)[1:-1]
        print(f"{path.stem}: {options.policy}, {options.seeds} seeds of {options.rounds:,}")
        trial = partial(run, table, contexts, policy_spec=options.policy, rounds=options.rounds)
        with ProcessPoolExecutor(options.processes) as pool:
            for separation, rate in product(options.separations, rates):
                seeds = list(pool.map(trial, [(separation, rate, seed) for seed in range(options.seeds)]))
                _print(separation, rate, seeds)
    encoder.close()


def run(
    table: FullTable, contexts: Sequence[Context], trial: tuple[float, float, int], *, policy_spec: str, rounds: int
) -> dict[str, Reached]:
    """Return what each plan reached, and the best thresholds at the plan's cost."""
    separation, rate, seed = trial
    scenario = draw_scenario(table, [Confidence(separation)], rounds=rounds, seed=seed)
    reached = {}
    for name, rules in PLANS.items():
        path, options = parse_policy(policy_spec)
        policy = load_policy(path, d=len(contexts[0].features), fingerprint=contexts[0].fingerprint, options=options)
        router = SimulatedRouter(
            Objective("auto", rate), ExplorationRules(0.02, floor_loss=FLOOR_LOSS), predicts=False, cascade=rules
        )
        done = simulate(policy, scenario, contexts, router=router, rng=generator(seed, "draws"))
        late = late_rounds(scenario)
        quality = done.quality(scenario)[late]
        reached[name] = Reached(
            float(done.utility(scenario)[late].mean()),
            float(quality.mean()),
            float(done.cost_usd(scenario)[late].mean()),
        )
        if done.asked is not None and done.good is not None:
            error = expected_calibration_error(done.good[late], quality)
            asked = float(done.asked[late].sum(axis=1).mean())
            good, sure = done.good[late], done.good[late] >= SURE
            of_sure = (
                (float(sure.mean()), float(good[sure].mean()), float(quality[sure].mean()))
                if sure.any()
                else (0.0, np.nan, np.nan)
            )
            reached[name] = replace(reached[name], asked=asked, calibration_error=error, sure=of_sure)
    reached["chain"] = threshold_chain(scenario, reached["plan"].usd)
    reached["best pair"] = best_thresholds(scenario, reached["plan"].usd)
    return reached


def late_rounds(scenario: Scenario) -> slice:
    """Return which rounds count: all but the first, in which everybody learns."""
    return slice(min(FIRST, scenario.n // 3), None)


def threshold_chain(scenario: Scenario, usd: float) -> Reached:
    """Return the quality that a fixed threshold reaches at such a cost, from the cheapest arm to the next dearer one.

    All arms in order of price, the last one's answer served whatever it tells; two thresholds may be mixed by lot.
    """
    late = late_rounds(scenario)
    signal, quality, cost = scenario.signals["verified"][late], scenario.quality[late], scenario.cost_usd[late]
    order = np.argsort(cost.mean(axis=0))
    points = []
    for level in [-np.inf, *np.quantile(signal, np.linspace(0.0, 1.0, THRESHOLDS)), np.inf]:
        asking, earned, spent = np.ones(len(signal), dtype=np.bool_), np.zeros(len(signal)), np.zeros(len(signal))
        for k in order:
            spent += asking * cost[:, k]
            earned = np.where(asking, quality[:, k], earned)
            asking &= signal[:, k] < level
        points.append((spent.mean(), earned.mean()))
    costs, qualities = np.array(points).T
    return Reached(np.nan, float(np.interp(usd, costs, np.maximum.accumulate(qualities))), usd)


def best_thresholds(scenario: Scenario, usd: float) -> Reached:
    """Return the best quality that any pair of arms with a fixed threshold, or two mixed by lot, has at such a cost."""
    late = late_rounds(scenario)
    signal, quality, cost = scenario.signals["verified"][late], scenario.quality[late], scenario.cost_usd[late]
    best = -np.inf
    for first, second in permutations(range(len(scenario.arms)), 2):
        if cost[:, first].mean() > cost[:, second].mean():
            continue
        levels = np.quantile(signal[:, first], np.linspace(0.0, 1.0, THRESHOLDS))
        rejected = signal[:, first, None] < np.append(levels, np.inf)  # (n, thresholds)
        qualities = np.where(rejected, quality[:, second, None], quality[:, first, None]).mean(axis=0)
        costs = cost[:, first].mean() + (rejected * cost[:, second, None]).mean(axis=0)
        if costs.min() <= usd:
            # Mixing two thresholds by lot reaches whatever lies between: costs rise with the threshold.
            best = max(best, float(np.interp(usd, costs, np.maximum.accumulate(qualities))))
    return Reached(np.nan, best, usd)


def _print(separation: float, rate: float, seeds: Sequence[dict[str, Reached]]) -> None:
    """Print a line of what seeds came to."""
    utilities = {name: np.array([100 * seed[name].utility for seed in seeds]) for name in PLANS}
    parts = [f"{name} {values.mean():6.2f}" for name, values in utilities.items()]
    for name in ("routes", "cascades"):
        parts.append(f"over {name} {_interval(utilities['plan'] - utilities[name])}")
    for name in ("chain", "best pair"):
        gain = np.array([100 * (seed["plan"].quality - seed[name].quality) for seed in seeds])
        parts.append(f"{name} {_interval(gain)}")
    asked, error = (np.mean([getattr(seed["plan"], name) for seed in seeds]) for name in ("asked", "calibration_error"))
    parts.append(f"asks {asked:.2f}, calibration error {error:.3f}")
    share, belief, quality = np.mean([seed["plan"].sure for seed in seeds], axis=0)
    parts.append(f"{share:.0%} are judged {SURE} good or better: {belief:.3f} on average, and are {quality:.3f}")
    print(f"  separation {separation:g}, {rate:8.3g} points per dollar: " + ", ".join(parts), flush=True)


def _interval(values: Floats) -> str:
    half = 2.0 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():+.2f} ± {half:.2f}"


if __name__ == "__main__":
    main()
