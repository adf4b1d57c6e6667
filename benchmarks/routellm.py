"""RouteLLM's measures of ours, on its own benchmarks' answers, beside what its authors report of their routers.

    python -m benchmarks.routellm routellm.parquet [--seeds 20]

The table (docs/reference/tables.md) has a weak and a strong arm, and tasks mt_bench, mmlu and gsm8k. Each predictor
says by how much the strong arm will be better on a prompt; the prompts of the largest gain go to it, from none of them
to all in tenths, as in the paper. Printed per benchmark: APGR, CPT(50%), CPT(80%) (docs/reference/measures.md), as
means over seeds and their standard deviation, and the best fixed arm, which has an APGR of 1 and answers every call,
first.

- `regression`: ridge regression on the shipped features, which saw both arms' answers to the other prompts of all three
  benchmarks: five folds, never a prompt with itself; a seed is a split.
- `regression, other benchmarks`: the same, which saw no prompt of the benchmark it is asked about.
- `HierTS, online`: the default policy, from nothing, learned once through half of the prompts from the answers it chose
  itself (quality alone, floor as the router has it, an update every ten), then frozen, and asked about the other half;
  the other way round for the first half. A seed is a split, an order and the draws.
- `HierTS, drawn evenly`: the same, but both arms were drawn alike while it learned.
- `random` and `foresight`, which knows the answers: what is below and above everything.
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.routellm_published import PUBLISHED, TABLES
from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query
from highwayman.serving.config.config import Config
from highwayman.sims.baselines.folds import fold_of
from highwayman.sims.baselines.ridge import Ridge, ridge_predictions
from highwayman.sims.logs.logged import Indices
from highwayman.sims.measures.two_arms import apgr, cpt, quality_by_share
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

FROZEN_FOR = 10  # rounds between two updates
SHARES = np.linspace(0.0, 1.0, 11)
NOT_COMPARABLE = """\
What is not comparable. Training: theirs on votes of Chatbot Arena, judged answers or MMLU's validation questions, never
on a benchmark's own prompts; ours on other prompts of the same benchmarks (but for `other benchmarks`), with these two
arms' own answers. The shipped features' axes were fitted on prompts of this table, too, never on an answer, and HierTS'
options were chosen with it in view. Prompts: theirs are 160 of MT-bench, here {mt_bench}; 14,042 of MMLU, here {mmlu};
over 1,000 of GSM8K, here {gsm8k}. The arms and their answers are those that RouteLLM's authors have published."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The table, the weak arm first, with its prompts encoded."""

    table: FullTable
    contexts: Sequence[Context]
    features: Floats  # (n, d) the same


_SHARED: list[Asked] = []  # of a process: what all of its seeds are asked about

Gains = Callable[[Asked, int], Floats]  # (what is asked, seed) -> (n,) expected gain of the strong arm


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    asked = read(options.table)
    sizes = {task: len(rows) for task, rows in rows_of(asked.table).items()}
    with ProcessPoolExecutor(options.processes, initializer=_SHARED.append, initargs=(asked,)) as pool:
        gains = {name: list(pool.map(partial(_predict, name), range(options.seeds))) for name in PREDICTORS}
    print(f"{options.seeds} seeds; weak arm {asked.table.arms[0]}, strong arm {asked.table.arms[1]}")
    for task in TABLES:
        print("\n" + "\n".join(report(asked.table, task, gains)), flush=True)
    print("\n" + NOT_COMPARABLE.format(**{task: f"{size:,}" for task, size in sizes.items()}))


def _predict(name: str, seed: int) -> Floats:
    return PREDICTORS[name](_SHARED[0], seed)


def read(path: Path) -> Asked:
    """Return the table at `path` with its weak arm first, encoded. Raises SystemExit where it is not RouteLLM's."""
    table = read_table(path)
    if len(table.arms) != 2 or set(table.tasks) != set(TABLES):
        raise SystemExit(
            f"{path}: needs two arms and the tasks {', '.join(TABLES)}; has {table.arms}, {set(table.tasks)}"
        )
    table = table.with_arms([table.arms[column] for column in np.argsort(table.quality.mean(axis=0))])
    encoder = make_encoder("static")
    contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
    encoder.close()
    return Asked(table, contexts, np.stack([context.features for context in contexts]))


def rows_of(table: FullTable) -> dict[str, Indices]:
    """Return the rows of each task."""
    tasks = np.array(table.tasks)
    return {task: np.flatnonzero(tasks == task) for task in dict.fromkeys(table.tasks)}


def at_random(asked: Asked, seed: int) -> Floats:
    """Return gains that know nothing."""
    return generator(seed, "random router").random(asked.table.n)


def regression(asked: Asked, seed: int) -> Floats:
    """Return gains by ridge regression on the other folds."""
    return _gain(Ridge().predictions(asked.table, asked.features, generator(seed, "folds")))


def regression_elsewhere(asked: Asked, seed: int) -> Floats:
    """Return gains by ridge regression on the other benchmarks; no seed makes a difference."""
    features, gain = asked.features[:, :-1], _gain(asked.table.quality)[:, None]
    gains = np.empty(asked.table.n)
    for rows in rows_of(asked.table).values():
        others = np.setdiff1d(np.arange(asked.table.n), rows)
        gains[rows] = ridge_predictions(features[others], gain[others], features[rows])[:, 0]
    return gains


def online(asked: Asked, seed: int, *, floor: float) -> Floats:
    """Return gains by the default policy, each by the one that has learned from the other half of the prompts."""
    half, gains = fold_of(asked.table.prompts, generator(seed, "halves"), count=2), np.empty(asked.table.n)
    router = SimulatedRouter(Objective("auto", 0.0), ExplorationRules(floor))
    for number in (0, 1):
        train, test = np.flatnonzero(half != number), np.flatnonzero(half == number)
        policy = HierTS(d=asked.features.shape[1], fingerprint=asked.contexts[0].fingerprint)
        scenario = draw_scenario(asked.table.take(train), [], rounds=len(train), seed=seed)
        contexts = [asked.contexts[row] for row in train]
        draws = generator(seed, f"draws {number}")
        simulate(policy, scenario, contexts, router=router, rng=draws, frozen_for=FROZEN_FOR)
        means, _ = policy.posterior.mean_and_std_many(asked.features[test], asked.table.arms)
        gains[test] = _gain(means)
    return gains


def foresight(asked: Asked, seed: int) -> Floats:
    """Return the gains themselves."""
    return _gain(asked.table.quality)


PREDICTORS: dict[str, Gains] = {
    "random": at_random,
    "regression": regression,
    "regression, other benchmarks": regression_elsewhere,
    "HierTS, online": partial(online, floor=Config().policy.floor),
    "HierTS, drawn evenly": partial(online, floor=1.0),
    "foresight": foresight,
}


def _gain(quality: Floats) -> Floats:
    return np.asarray(quality[:, 1] - quality[:, 0], dtype=np.float64)


def measures(table: FullTable, gain: Floats) -> tuple[float, float, float]:
    """Return APGR, CPT(50%) and CPT(80%) of routing by expected gain (n,), the curve linear between tenths."""
    weak, strong = table.quality.T
    quality, ends = quality_by_share(gain, weak, strong, SHARES), {"weak": weak.mean(), "strong": strong.mean()}
    return apgr(SHARES, quality, **ends), cpt(0.5, SHARES, quality, **ends), cpt(0.8, SHARES, quality, **ends)


def report(table: FullTable, task: str, gains: dict[str, list[Floats]]) -> list[str]:
    """Return the lines of one benchmark: the best fixed arm, ours, and theirs."""
    rows = rows_of(table)[task]
    part = table.take(rows)
    weak, strong = part.quality.mean(axis=0)
    lines = [
        f"{task}, {len(rows):,} prompts: quality {strong:.4f} of the strong arm, {weak:.4f} of the weak one",
        f"{'':50}{'APGR':>16}{'CPT(50%)':>17}{'CPT(80%)':>17}",
        f"  {f'best fixed: {table.arms[int(strong > weak)]}':48}{'1 at every call':>16}{'100.0%':>17}{'100.0%':>17}",
    ]
    for name, by_seed in gains.items():
        reached = np.array([measures(part, gain[rows]) for gain in by_seed])
        lines.append(f"  {name:48}{_cells(reached.mean(axis=0), reached.std(axis=0))}")
    lines.append(f"  reported, arXiv 2406.18665v4, table {TABLES[task]}:")
    for line in PUBLISHED[task]:
        name = f"{line.router}, {line.training}" if line.training else line.router
        lines.append(f"    {name:46}{line.apgr:>16.3f}{line.cpt_50:>17.2%}{line.cpt_80:>17.2%}")
    return lines


def _cells(mean: Floats, spread: Floats) -> str:
    shares = "".join(f"{f'{each:.1%} ± {100 * std:.1f}':>17}" for each, std in zip(mean[1:], spread[1:], strict=True))
    return f"{f'{mean[0]:.3f} ± {spread[0]:.3f}':>16}{shares}"


if __name__ == "__main__":
    main()
