"""What a price on switching earns in conversations, beside switching never and switching as if caches cost nothing.

    python -m benchmarks.conversations [TABLE...] [--seeds 20] [--rounds 2000] [--policy LinTS] [--cost-weight 0.15]
        [--world SPEC]... [--served-turns 2]

The same router, policy and conversations three ways: a switch has its price, as in production (`priced`); the arm drawn
for the first turn answers all of them (`never`); every turn is drawn as if it stood alone (`unpriced`). All pay what
calls cost with the caches that they left behind. The cost weight is what the dearest arm must be better by than the
cheapest, at the table's mean costs: points per dollar follow from it. Reward is quality minus penalty per turn,
exploration included; differences are paired by seed, with 95% intervals. Without a table: 600 made-up prompts of three
topics, four arms of which two are specialists, prices from 1 to 20.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.switching import SERVED_TURNS
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Query
from highwayman.sims.logs.logged import Indices
from highwayman.sims.measures.over_seeds import paired_difference
from highwayman.sims.simulation.conversation_turns import ConversationTurns
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.simulated_router import SimulatedRouter, Switching
from highwayman.sims.simulation.world_spec import parse_world
from highwayman.sims.sweeps.dial import table_spread
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

WORLDS = ("Conversations", "Conversations:turns=3", "Conversations:turns=12,growth=1", "Conversations:topic_change=0.5",
          "Conversations:gap_s=300")  # fmt: skip
ARMS, COSTS_USD = ("small", "coder", "writer", "large"), (0.001, 0.004, 0.004, 0.02)
TOPICS = ("code", "prose", "talk")
QUALITY = ((0.35, 0.80, 0.45, 0.80), (0.45, 0.40, 0.80, 0.80), (0.75, 0.75, 0.75, 0.80))
RULES = ExplorationRules(0.02, floor_loss=FLOOR_LOSS)  # as a router has them


def made_up(n: int = 600) -> tuple[FullTable, list[Context]]:
    """Return a table of n prompts, and their contexts: the topic, blurred."""
    rng = np.random.default_rng(0)
    topics = rng.integers(len(TOPICS), size=n)
    quality = np.clip(np.array(QUALITY)[topics] + rng.normal(0.0, 0.15, (n, len(ARMS))), 0.0, 1.0)
    tasks = [TOPICS[topic] for topic in topics]
    table = FullTable.from_arrays(ARMS, quality, tasks=tasks, cost_usd=np.tile(COSTS_USD, (n, 1)))
    blurred = np.eye(len(TOPICS))[topics] + rng.normal(0.0, 0.25, (n, len(TOPICS)))
    return table, [Context(np.append(features, 1.0), "made up", 1) for features in blurred]


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--policy", default="LinTS")
    parser.add_argument("--cost-weight", type=float, default=0.15)
    parser.add_argument("--world", action="append", dest="worlds")
    parser.add_argument("--served-turns", type=float, default=SERVED_TURNS)
    options = parser.parse_args()
    cases = [("made up", *made_up())] if not options.tables else [_read(path) for path in options.tables]
    for name, table, contexts in cases:
        print(f"{name}, {options.policy}, cost weight {options.cost_weight:g}, {options.seeds} seeds of "
              f"{options.rounds} turns")  # fmt: skip
        for world in options.worlds or WORLDS:
            objective = Objective("auto", points_per_usd=table_spread(table).points_per_usd(options.cost_weight))
            case = _Case(world, table, contexts, options.policy, objective, options.rounds, options.served_turns)
            _report(case, range(options.seeds))


@dataclass(frozen=True, slots=True)
class _Case:
    """What is run, three ways, under each seed."""

    world: str
    table: FullTable
    contexts: Sequence[Context]
    policy: str
    objective: Objective
    rounds: int
    served_turns: float

    def run(self, way: Switching, seed: int) -> tuple[float, float, float, float]:
        """Return reward, quality and dollars per turn, and the share of later turns that another arm answered."""
        scenario = draw_scenario(self.table, parse_world(self.world), rounds=self.rounds, seed=seed)
        path, options = parse_policy(self.policy)
        like = self.contexts[0]
        run = simulate(
            load_policy(path, d=len(like.features), fingerprint=like.fingerprint, options=options),
            scenario,
            self.contexts,
            router=SimulatedRouter(self.objective, RULES, switching=way, served_turns=self.served_turns),
            rng=generator(seed, "draws"),
        )
        switched = 0.0 if scenario.conversations is None else _switched(scenario.conversations, run.actions)
        means = [values.mean() for values in (run.utility(scenario), run.quality(scenario), run.cost_usd(scenario))]
        return float(means[0]), float(means[1]), float(means[2]), switched


def _read(path: Path) -> tuple[str, FullTable, list[Context]]:
    table, encoder = read_table(path).spread(8), make_encoder("static")
    contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
    encoder.close()
    return path.stem, table, contexts


def _report(case: _Case, seeds: range) -> None:
    """Print what each way comes to, and what the price earns beyond the others."""
    rows = {way: np.array([case.run(way, seed) for seed in seeds]) for way in Switching}
    print(f"  {case.world}")
    priced = rows[Switching.PRICED][:, 0]
    for way, row in rows.items():
        reward, quality, usd, switched = row.mean(axis=0)
        line = f"    {way:9} reward {reward:.4f}  quality {quality:.4f}  $ per 1k {1000 * usd:7.3f}"
        line += f"  switched {switched:5.1%}"
        if way is not Switching.PRICED:
            more = paired_difference(priced, row[:, 0])
            line += f"  priced earns {more.mean:+.4f} [{more.low:+.4f}, {more.high:+.4f}]"
        print(line, flush=True)


def _switched(turns: ConversationTurns, actions: Indices) -> float:
    """Return the share of later turns (of n actions) that another arm answered than the turn before."""
    order = np.lexsort((turns.turn, turns.conversation))
    later = turns.turn[order][1:] > 0
    changed = (actions[order][1:] != actions[order][:-1])[later]
    return float(changed.mean()) if later.any() else 0.0


if __name__ == "__main__":
    main()
