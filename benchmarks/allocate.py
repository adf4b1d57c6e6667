"""What routing a file of prompts as one allocation brings over deciding its prompts one by one, at the same budget.

    python -m benchmarks.allocate TABLE... [--seeds 5] [--rounds 10000] [--share S]... [--policy HierTS]

Eight arms spread over the range of mean quality. A policy, and what calls cost, are learned from rounds on half of the
prompts, as a router learns them; the other half is the batch, which nothing is learned from. Its budget lies a share of
the way from what it is expected to cost at the cheapest arm to that at the dearest. Printed per budget, over all seeds,
true mean quality and true dollars as shares of the budget: of the allocation; of the same predictions one by one, in
a random order, under a pacer that bars what its window cannot pay for (`hard`) or only makes it dear (`soft`); of the
best fixed mixture of arms, known beforehand; of an allocation that knows every answer and its cost (`foresight`).
Predicted dollars are not metered ones, so `over hard` and `over soft` compare at equal spending: an allocation whose
budget is chosen such that it truly costs what the other way cost, less that way's quality, paired, with the standard
error over seeds.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.decision import ExplorationRules, decide
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.bandit.regression.amount_posterior import AmountPosterior
from highwayman.env.cost.allocation import allocate
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.pacer import Pacer
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.measures.hull import Hull
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
WAYS = ("allocation", "hard", "soft", "mixture", "foresight")
GAINS = ("over hard", "over soft")
_HALVINGS = 12  # of a budget's bracket


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """n prompts that nothing was learned from, and what is expected of K arms on them."""

    table: FullTable
    contexts: Sequence[Context]
    quality: Floats  # (n, K)
    usd: Floats  # (n, K)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--share", type=float, action="append", dest="shares")
    parser.add_argument("--policy", default="HierTS")
    options = parser.parse_args()
    encoder = make_encoder("static")
    for path in options.tables:
        table = read_table(path).spread(8)
        table = table.take(np.isfinite(table.cost_usd).all(axis=1))
        contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        print(f"{path.stem}: {options.policy}, {options.seeds} seeds, {options.rounds:,} rounds learned, then a batch "
              f"of {table.n // 2:,} prompts")  # fmt: skip
        print(f"{'share':>7}" + "".join(f"{way:>22}" for way in WAYS) + "".join(f"{way:>18}" for way in GAINS))
        shares = options.shares or SHARES
        by_seed = []
        for seed in range(options.seeds):
            batch = learned(table, contexts, options.policy, rounds=options.rounds, seed=seed)
            by_seed.append([reached(batch, share, seed) for share in shares])
        for share, figures in zip(shares, np.array(by_seed).transpose(1, 0, 2, 3), strict=True):
            print(line(share, figures), flush=True)
    encoder.close()


def learned(table: FullTable, contexts: Sequence[Context], policy_name: str, *, rounds: int, seed: int) -> Batch:
    """Return half of a table as a batch, with what is expected of it after so many rounds on the other half."""
    halves = np.array_split(generator(seed, "halves").permutation(table.n), 2)
    past, past_contexts = table.take(halves[0]), [contexts[row] for row in halves[0]]
    path, policy_options = parse_policy(policy_name)
    policy = load_policy(path, d=len(contexts[0].features), fingerprint=contexts[0].fingerprint, options=policy_options)
    scenario = draw_scenario(past, [], rounds=rounds, seed=seed)
    router = SimulatedRouter(Objective("auto"), ExplorationRules(0.02, floor_loss=FLOOR_LOSS))
    run = simulate(policy, scenario, past_contexts, router=router, rng=generator(seed, "draws"), frozen_for=10)
    amounts, mean_usd = AmountPosterior(1), past.cost_usd.mean(axis=0)
    for t, action in enumerate(run.actions.tolist()):
        ratio = scenario.cost_usd[t, action] / mean_usd[action]
        amounts.learn(table.arms[action], past_contexts[scenario.rows[t]].features, [ratio])
    batch, batch_contexts = table.take(halves[1]), [contexts[row] for row in halves[1]]
    quality = np.array([policy.expected_quality(context, table.arms) for context in batch_contexts])  # type: ignore[attr-defined]
    ratios = np.array([amounts.expected_ratios(context.features, table.arms)[:, 0] for context in batch_contexts])
    return Batch(batch, batch_contexts, np.clip(quality, 0.0, 1.0), ratios * mean_usd)


def reached(batch: Batch, share: float, seed: int) -> list[tuple[float, float]]:
    """Return mean quality, and dollars over the budget, of each of `WAYS`, then the quality gained in `GAINS` and 0."""
    table, rows = batch.table, np.arange(batch.table.n)
    least_usd, most_usd = float(batch.usd.min(axis=1).sum()), float(batch.usd.sum(axis=0).max())
    budget_usd = least_usd + share * (most_usd - least_usd)

    def figures(actions: np.ndarray) -> tuple[float, float]:
        return float(table.quality[rows, actions].mean()), float(table.cost_usd[rows, actions].sum() / budget_usd)

    def together(budget_usd: float) -> tuple[float, float]:
        return figures(allocate(batch.quality, batch.usd, budget_usd=budget_usd).actions)

    hull = Hull.of(table.cost_usd.mean(axis=0), table.quality.mean(axis=0))
    mixture = float(hull.quality_at(budget_usd / table.n)), 1.0
    known_usd = max(budget_usd, float(table.cost_usd.min(axis=1).sum()))
    foresight = figures(allocate(table.quality, table.cost_usd, budget_usd=known_usd).actions)
    ways = [figures(one_by_one(batch, budget_usd, seed, hard=hard)) for hard in (True, False)]
    gains = [(at_equal_dollars(together, used, least_usd, most_usd) - quality, 0.0) for quality, used in ways]
    return [together(budget_usd), *ways, mixture, foresight, *gains]


def at_equal_dollars(
    together: Callable[[float], tuple[float, float]], used: float, least_usd: float, most_usd: float
) -> float:
    """Return the quality of the dearest allocation that truly costs at most `used`, by bisection over its budget."""
    low, high = least_usd, most_usd
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if together(middle)[1] <= used else (low, middle)
    return together(low)[0]


def one_by_one(batch: Batch, budget_usd: float, seed: int, *, hard: bool) -> np.ndarray:
    """Return what the decision core takes for each prompt (n,), one after the other, each call charged when it ends."""
    table, pacer = batch.table, Pacer(budget_usd / batch.table.n, hard=hard)
    nothing, rules = np.zeros(len(table.arms)), ExplorationRules(0.0)
    actions, rng = np.zeros(table.n, dtype=np.intp), generator(seed, "one by one")
    for row in rng.permutation(table.n).tolist():
        candidates = Candidates(table.arms, batch.usd[row], nothing)
        choice = decide(
            Greedy(batch.quality[row], table.arms), batch.contexts[row], candidates, rules,
            limits=Objective("auto", explore=False), at=0.0, rng=rng, budget=pacer,
        )  # fmt: skip
        actions[row] = action = table.arms.index(choice.arm)
        pacer.charge(float(table.cost_usd[row, action]), float(batch.usd[row, action]))
    return actions


class Greedy:
    """Takes the best arm after penalties by the predictions of one prompt, the same as the allocation has."""

    def __init__(self, quality: Floats, arms: Sequence[str]) -> None:
        """Take the quality (K,) expected of each arm."""
        self._quality = dict(zip(arms, quality.tolist(), strict=True))

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return 1 at the best arm."""
        utility = np.array([self._quality[arm] for arm in arms]) - penalties
        return np.asarray(np.eye(len(arms))[int(utility.argmax())], dtype=np.float64)


def line(share: float, figures: Floats) -> str:
    """Return a line of what all seeds reached at a budget: (seeds, ways, 2)."""
    means, spread = figures.mean(axis=0), figures[:, :, 0].std(axis=0)
    cells = [f"{quality:.4f} ± {spread[way]:.4f} {used:4.0%}" for way, (quality, used) in enumerate(means[: len(WAYS)])]
    gains = figures[:, len(WAYS) :, 0]
    alone = len(gains) == 1  # one seed cannot tell
    errors = np.full(len(GAINS), np.nan) if alone else gains.std(axis=0, ddof=1) / np.sqrt(len(gains))
    told = [f"{gain:+.4f} ± {error:.4f}" for gain, error in zip(gains.mean(axis=0), errors, strict=True)]
    return f"{share:7.0%}" + "".join(f"{cell:>22}" for cell in cells) + "".join(f"{gain:>18}" for gain in told)


if __name__ == "__main__":
    main()
