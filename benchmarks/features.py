"""Which features a linear policy learns faster on: made without the table they are tried on.

    python -m benchmarks.features TABLE... [--seeds 5]

For each table, projections and clusters are fitted on the other tables: the principal axes of their prompts; soft
clusters of them; and axes supervised by their answers, the reduced-rank regression of every model's quality on the
embedding, each table counting alike (Izenman, "Reduced-rank regression for the multivariate linear model", 1975, with
ridge regression for least squares). The numeric features stand beside each. Printed are, beyond the best fixed arm at
cost weight 0.15 (0 where there are no prices): ridge regression with full information, out of fold, and what HierTS
earns over the last 5,000 of 20,000 rounds, mean over seeds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.learning_data import NORM, PROMPTS
from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.encoder import MAX_CHARS
from highwayman.env.encoder.engine import make_engine
from highwayman.env.encoder.features.clusters import Clusters
from highwayman.env.encoder.features.features import numeric_features, utf8_sample
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.baselines.ridge import Ridge
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.sweeps.dial import table_spread
from highwayman.sims.sweeps.prepared import fixed_penalties
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table
from scripts.make_projection import k_means, principal

ROUNDS, LAST, FLOOR = 20_000, 5_000, 0.005
STRENGTH = 10.0  # of the ridge behind the supervised axes


class Embedded:
    """A table with its prompts' embeddings (n, w) and numbers (n, q)."""

    def __init__(self, table: FullTable) -> None:
        engine = make_engine("static")
        self.table = table
        self.text = engine.embed([utf8_sample(text, MAX_CHARS) for text in table.prompts])
        self.numbers = np.array([numeric_features(Query(text=text, prompt_chars=len(text))) for text in table.prompts])

    def some(self) -> "slice | np.ndarray[tuple[int], np.dtype[np.intp]]":
        """Return the rows of at most `PROMPTS` prompts."""
        return np.random.default_rng(0).permutation(len(self.text))[:PROMPTS]


def supervised(others: Sequence[Embedded], p: int) -> tuple[Floats, Floats]:
    """Return the mean (w,) and axes (w, p) on which the others' models differ most, as far as ridge regression sees."""
    pooled = np.concatenate([one.text[one.some()] for one in others])
    mean = pooled.mean(axis=0)
    found = []
    for one in others:
        rows = one.some()
        x, quality = one.text[rows] - mean, one.table.quality[rows]
        leads = quality - quality.mean(axis=1, keepdims=True)
        leads = leads - leads.mean(axis=0)
        weights = np.linalg.solve(x.T @ x + STRENGTH * np.eye(x.shape[1]), x.T @ leads)
        found.append(weights / np.linalg.norm(x @ weights))
    root = np.linalg.cholesky(np.cov(pooled.T) + 1e-6 * np.eye(len(mean)))
    left, _, _ = np.linalg.svd(root.T @ np.concatenate(found, axis=1), full_matrices=False)
    return mean, np.linalg.solve(root.T, left[:, :p])


def features_of(one: Embedded, others: Sequence[Embedded]) -> dict[str, Floats]:
    """Return each kind of features of a table's prompts, without the constant, (n, .)."""
    pooled = np.concatenate([other.text[other.some()] for other in others])
    numbers = np.concatenate([other.numbers[other.some()] for other in others])
    mean, axes, _ = principal(pooled, 32, 0.0, NORM)
    pca = (one.text - mean) @ axes
    centres = k_means(np.hstack([pooled, numbers]), 30, np.random.default_rng(0))
    clusters = Clusters.from_centres(centres[:, : len(mean)], centres[:, len(mean) :])
    distances = clusters.distances(one.text)
    near = np.array([clusters.memberships(*row) for row in zip(distances, one.numbers, strict=True)])
    found = {"numbers": one.numbers, "32 axes, numbers": np.hstack([pca, one.numbers])}
    for p in (8, 16):
        middle, directions = supervised(others, p)
        text = (one.text - middle) @ directions
        text *= NORM / np.sqrt((text**2).sum(axis=1).mean())
        found[f"{p} supervised axes, numbers"] = np.hstack([text, one.numbers])
    found["30 clusters, numbers"] = np.hstack([near, one.numbers])
    found["16 axes, 30 clusters, numbers (shipped)"] = np.hstack([pca[:, :16], near, one.numbers])
    return found


def earned(table: FullTable, features: Floats, weight: float, seeds: int) -> tuple[float, float, float]:
    """Return what ridge and, at the end, HierTS earn beyond the best fixed arm; the latter with its deviation."""
    objective = Objective("auto", table_spread(table).points_per_usd(weight))
    price = fixed_penalties(table, objective)
    rows = np.hstack([features, np.ones((len(features), 1))])
    choices = Ridge().choices(table, rows, price, np.random.default_rng(0))
    utility = table.quality - price
    ridge = float((choices * utility).sum(axis=1).mean() - utility.mean(axis=0).max())
    contexts, late = [Context(row, "tried", 1) for row in rows], []
    for seed in range(seeds):
        scenario = draw_scenario(table, [], rounds=ROUNDS, seed=seed)
        policy = HierTS(d=rows.shape[1], fingerprint="tried")
        router = SimulatedRouter(objective, ExplorationRules(FLOOR))
        run = simulate(
            policy,
            scenario,
            contexts,
            router=router,
            rng=generator(seed, "draws"),
        )
        last = slice(-LAST, None)
        late.append(run.utility(scenario)[last].mean() - run.utilities(scenario)[last].mean(axis=0).max())
    return ridge, float(np.mean(late)), float(np.std(late))


def best_fixed(table: FullTable, weight: float) -> str:
    """Return the arm of the highest mean value."""
    price = fixed_penalties(table, Objective("auto", table_spread(table).points_per_usd(weight)))
    return table.arms[int((table.quality - price).mean(axis=0).argmax())]


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    given = [Embedded(read_table(path)) for path in options.tables]
    print(f"beyond the best fixed arm, {options.seeds} seeds{'':20}{'ridge':>8}{'HierTS, last 5,000':>24}")
    totals: dict[str, list[tuple[float, float]]] = {}
    for place, (path, one) in enumerate(zip(options.tables, given, strict=True)):
        table = one.table.spread(8)
        weight = 0.15 if all(cost is not None for cost in table.mean_costs()) else 0.0
        print(f"{path.stem}, cost weight {weight:g}")
        print(f"  {f'best fixed: {best_fixed(table, weight)}':46}{0.0:>+8.4f}{0.0:>+16.4f}")
        for name, features in features_of(one, given[:place] + given[place + 1 :]).items():
            ridge, late, spread = earned(table, features, weight, options.seeds)
            totals.setdefault(name, []).append((ridge, late))
            print(f"  {name:46}{ridge:>+8.4f}{late:>+16.4f} ± {spread:.4f}", flush=True)
    print("mean over tables")
    for name, found in totals.items():
        ridge, late = np.mean(found, axis=0)
        print(f"  {name:46}{ridge:>+8.4f}{late:>+16.4f}")


if __name__ == "__main__":
    main()
