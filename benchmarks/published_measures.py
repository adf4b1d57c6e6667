"""The measures of RouterEval, RouterArena, LLMRouterBench and RouterBench, of this router and baselines on any table.

    python -m benchmarks.published_measures TABLE... [--policy HierTS] [--seeds 3] [--settings 9] [--format NAME]

A table is a file or a folder in any format of docs/reference/tables.md, these benchmarks' own among them; routing for
quality alone, but for the last three columns, which are of a dial with so many settings. The policy learns online, in a
random order of the prompts, each once, with a router's floor: all of it counts, its first round too. `ridge` and `task
mean` have seen every arm's answer to the other prompts (cross-validated), `best fixed` and `oracle` all of them. `task
mean` knows the task's label. Means over seeds of what is drawn.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.baselines.protocol import greedy_choices, load_baseline
from highwayman.sims.baselines.ridge import Ridge
from highwayman.sims.measures.llm_router_bench import router_bench_accuracy, router_bench_tradeoff
from highwayman.sims.measures.router_arena import arena_score, optimality
from highwayman.sims.measures.router_eval import router_eval_scores
from highwayman.sims.measures.tradeoff import aiq
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.sweeps.dial import useful_points_per_usd
from highwayman.sims.sweeps.prepared import fixed_penalties
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

COLUMNS = (
    ("mu", "V_B", "E_p"),  # RouterEval
    ("arena", "Opt.Sel", "Opt.Cost", "Opt.Acc"),  # RouterArena
    ("ImpRand", "ImpMax", "OrGap"),  # LLMRouterBench
    ("AIQ", "PerfGain", "CostSave"),  # of a dial: RouterBench, LLMRouterBench
)
BASELINES = ("random", "best_fixed", "task_mean", "knn", "oracle")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--policy", default="HierTS")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--settings", type=int, default=9)
    parser.add_argument("--format")
    options = parser.parse_args()
    encoder = make_encoder("static")
    for path in options.tables:
        table = read_table(path, options.format)
        priced = np.isfinite(table.cost_usd).all()
        print(
            f"{path.stem}: {table.n:,} prompts, {len(table.arms)} arms, {table.left_out:,} incomplete prompts left out"
        )
        print(" " * 18 + "".join(f"{name:>9}" for group in COLUMNS for name in group))
        contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        features = np.array([context.features for context in contexts])
        rates = useful_points_per_usd(table, options.settings) if priced else (0.0,)
        nothing = np.zeros(len(table.arms))
        for name in BASELINES:
            choices = load_baseline(name).choices(table, features, nothing, generator(0, name))
            print(line(name.replace("_", " "), measures(table, choices[None])), flush=True)
        predicted = Ridge().predictions(table, features, generator(0, "ridge"))
        dial = [greedy_choices(predicted - fixed_penalties(table, Objective("auto", rate)), table) for rate in rates]
        print(line("ridge", {**measures(table, dial[0][None]), **of_dial(table, np.array([dial]))}), flush=True)
        seeds = range(options.seeds)
        runs = [[online(table, contexts, options.policy, rate, seed=seed) for rate in rates] for seed in seeds]
        dials = np.array(runs)  # (seeds, settings, n, K)
        print(line(options.policy, {**measures(table, dials[:, 0]), **of_dial(table, dials)}), flush=True)
    encoder.close()


def online(table: FullTable, contexts: Sequence[Context], policy_name: str, rate: float, *, seed: int) -> Floats:
    """Return the probabilities (n, K) of a policy that learned from what it drew on the prompts before."""
    path, policy_options = parse_policy(policy_name)
    policy = load_policy(path, d=len(contexts[0].features), fingerprint=contexts[0].fingerprint, options=policy_options)
    router = SimulatedRouter(Objective("auto", rate), ExplorationRules(0.02, floor_loss=FLOOR_LOSS), predicts=False)
    scenario = draw_scenario(table, [], rounds=table.n, seed=seed)
    run = simulate(policy, scenario, contexts, router=router, rng=generator(seed, "draws"), frozen_for=10)
    probs = np.empty(table.quality.shape)
    probs[scenario.rows] = run.probs
    return probs


def measures(table: FullTable, by_seed: Floats) -> dict[str, float]:
    """Return the measures of choices (seeds, n, K), means over seeds."""
    rows = []
    for probs in by_seed:
        scores = router_eval_scores(table.quality, probs)
        compared = router_bench_accuracy(table.quality, probs, table.tasks)
        usd = float((probs * table.cost_usd).sum(axis=1).mean())
        near = optimality(table.quality, table.cost_usd, probs) if np.isfinite(usd) else None
        rows.append({
            "mu": scores.mu, "V_B": scores.v_b, "E_p": scores.e_p,
            "arena": arena_score(scores.mu, 1000 * usd) if np.isfinite(usd) else np.nan,
            "Opt.Sel": near.selection if near else np.nan, "Opt.Cost": near.cost if near else np.nan,
            "Opt.Acc": near.accuracy if near else np.nan, "ImpRand": compared.over_random,
            "ImpMax": compared.over_max_expert, "OrGap": compared.below_oracle,
        })  # fmt: skip
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def of_dial(table: FullTable, dials: Floats) -> dict[str, float]:
    """Return the measures of dials (seeds, settings, n, K), means over seeds; nothing where arms have no price."""
    if not np.isfinite(table.cost_usd).all():
        return {}
    arm_cost, arm_quality = table.cost_usd.mean(axis=0), table.quality.mean(axis=0)
    best = int(arm_quality.argmax())
    rows = []
    for settings in dials:
        quality, cost = ((settings * values).sum(axis=2).mean(axis=1) for values in (table.quality, table.cost_usd))
        traded = router_bench_tradeoff(quality, cost, best_quality=arm_quality[best], best_cost=arm_cost[best])
        area = aiq(cost, quality, arm_cost=arm_cost, arm_quality=arm_quality)
        rows.append((area, traded.performance_gain, traded.cost_saving))
    return dict(zip(COLUMNS[3], np.mean(rows, axis=0).tolist(), strict=True))


def line(name: str, found: dict[str, float]) -> str:
    """Return the row of one router; what is not known of it is a dash."""
    cells = [found.get(column, np.nan) for group in COLUMNS for column in group]
    return f"  {name:16}" + "".join(f"{'-' if np.isnan(cell) else f'{cell:.3f}':>9}" for cell in cells)


if __name__ == "__main__":
    main()
