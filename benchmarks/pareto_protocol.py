"""Quality under a budget by the protocol of the ParetoBandit paper, on the data that its wheel ships.

    python -m benchmarks.pareto_protocol WHEEL [--seeds 8] [--policy HierTS] [--floor 0.02] [--soft] [--ceiling USD]...

WHEEL is a file that `pip download --no-deps paretobandit` wrote, or the folder of one unpacked. Three arms. The router
learns from the 1,785 prompts of `val`, shuffled, under the ceiling, and goes on learning over the 1,824 of the test
split, shuffled, of which all figures are. Its price list are the arms' mean costs on `val`, weight of cost 0 (the
ceiling alone makes arms dear), shipped features, no prior.

Printed per ceiling: mean quality over seeds and its standard deviation, the paper's, that of the static mixture of arms
which costs as much on the test split as the ceiling allows (the hull), and the same for what was spent; the share of
the ceiling spent; the worst mean of any 500 rounds in a row over the ceiling, of all seeds; shares of arms.
"""

import argparse
import json
import zipfile
from collections.abc import Iterable, Sequence
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
from highwayman.env.cost.pacer import Pacer
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.measures.budget import budget_compliance
from highwayman.sims.measures.hull import Hull
from highwayman.sims.simulation.drawing import generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import stationary
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.tables.table import FullTable

CEILINGS = {2.35e-4: 0.859, 6.5e-4: 0.898, 1.71e-3: 0.917, 4.7e-3: 0.924, 1.11e-2: 0.929}  # and the paper's quality
_FOLDER = "pareto_bandit/data/examples"
_SPLITS = ("val.jsonl", "test_holdout.jsonl")


@dataclass(frozen=True, slots=True)
class Protocol:
    """What all runs have in common."""

    table: FullTable  # the prompts to learn from, then those of the test split
    learned: int  # how many the former are
    contexts: Sequence[Context]
    policy: str
    rules: ExplorationRules
    hard: bool


@dataclass(frozen=True, slots=True)
class TestSplit:
    """What one run came to on the test split."""

    quality: float
    cost_usd: float
    worst: float  # mean of 500 rounds, over the ceiling
    shares: Floats  # (K,) of arms


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--policy", default="HierTS")
    parser.add_argument("--floor", type=float, help="spread evenly; if not given, a router's")
    parser.add_argument("--ceiling", type=float, action="append", dest="ceilings")
    parser.add_argument("--soft", action="store_true", help="arms are made dear, but never barred")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    learned, tested = (read_split(options.wheel, name) for name in _SPLITS)
    table = read_table([*learned, *tested])
    encoder = make_encoder("static")
    contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
    encoder.close()
    rules = ExplorationRules(0.02, floor_loss=FLOOR_LOSS)
    if options.floor is not None:
        rules = ExplorationRules(options.floor)
    protocol = Protocol(table, len(learned), contexts, options.policy, rules, not options.soft)
    test = table.take(slice(len(learned), None))
    hull = Hull.of(test.cost_usd.mean(axis=0), test.quality.mean(axis=0))
    ceilings = options.ceilings or list(CEILINGS)
    print(f"{len(learned):,} prompts, then {len(tested):,}; {', '.join(table.arms)}")
    print(
        f"{'ceiling':>9}{'quality':>9}{'± sd':>7}{'paper':>7}{'hull':>8}{'at spent':>9}{'spent':>7}{'worst':>7}  shares"
    )
    with ProcessPoolExecutor(options.processes) as pool:
        pairs = list(product(ceilings, range(options.seeds)))
        runs = list(pool.map(partial(run, protocol), pairs))
    for place, ceiling in enumerate(ceilings):
        print(line(ceiling, hull, runs[place * options.seeds :][: options.seeds]))


def read_split(wheel: Path, name: str) -> list[bytes]:
    """Return the lines of a split in a wheel or the folder of one unpacked."""
    if wheel.is_dir():
        return (wheel / _FOLDER / name).read_bytes().splitlines()
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"{_FOLDER}/{name}").splitlines()


def read_table(lines: Iterable[bytes]) -> FullTable:
    """Return the table of prompts that are given one a line, as JSON."""
    rows = [json.loads(text) for text in lines]
    arms = list(rows[0]["arms"])

    def column(what: str) -> Floats:
        return np.array([[row["arms"][arm][what] for arm in arms] for row in rows])

    return FullTable.from_arrays(
        arms, column("reward"), prompts=[row["prompt"] for row in rows], cost_usd=column("cost")
    )


def run(protocol: Protocol, setting: tuple[float, int]) -> TestSplit:
    """Return what a run with a ceiling and a seed came to."""
    ceiling, seed = setting
    table, learned, contexts = protocol.table, protocol.learned, protocol.contexts
    shuffle = generator(seed, "prompts")
    rows = np.concatenate([shuffle.permutation(learned), learned + shuffle.permutation(table.n - learned)])
    scenario = stationary(table.take(rows), rounds=table.n, rng=shuffle)
    scenario = scenario.replace(
        rows=rows,
        quality=table.quality[rows],
        feedback=table.quality[rows],
        cost_usd=table.cost_usd[rows],
        price_usd=np.tile(table.cost_usd[:learned].mean(axis=0), (table.n, 1)),
        budget_usd=ceiling,
        tasks=(),
    )
    path, options = parse_policy(protocol.policy)
    policy = load_policy(path, d=len(contexts[0].features), fingerprint=contexts[0].fingerprint, options=options)
    router = SimulatedRouter(Objective("auto"), protocol.rules, pacer=Pacer(ceiling, hard=protocol.hard))
    done = simulate(policy, scenario, contexts, router=router, rng=generator(seed, "draws"))
    cost, quality = done.cost_usd(scenario)[learned:], done.quality(scenario)[learned:]
    worst = budget_compliance(cost, ceiling, settling=0).worst
    shares = np.bincount(done.actions[learned:], minlength=len(table.arms)) / len(cost)
    return TestSplit(float(quality.mean()), float(cost.mean()), worst, shares)


def line(ceiling: float, hull: Hull, runs: Sequence[TestSplit]) -> str:
    """Return a ceiling's line of the table."""
    quality, cost = np.array([done.quality for done in runs]), np.array([done.cost_usd for done in runs])
    static, at_spent = float(hull.quality_at(ceiling)), float(hull.quality_at(cost).mean())
    paper = CEILINGS.get(ceiling, np.nan)
    shares = ", ".join(f"{share:.3f}" for share in np.mean([done.shares for done in runs], axis=0))
    return (
        f"{ceiling:9.3g}{quality.mean():9.4f}{quality.std():7.4f}{paper:7.3f}{static:8.4f}{at_spent:9.4f}"
        f"{cost.mean() / ceiling:7.3f}{max(done.worst for done in runs):7.3f}  {shares}"
    )


if __name__ == "__main__":
    main()
