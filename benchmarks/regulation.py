"""What compliance costs: from noon on, personal requests may go to some arms only (docs/how-to/privacy.md).

    python -m benchmarks.regulation [--seeds 5] [--rounds 6000] [--policy HierTS]

The pool and its queries are those of `benchmarks/survey_experiments.py`: 1, 8, 30 and 100 billion parameters, queries
easy to hard. Until noon everything may go anywhere. From noon on, a share of the requests, whatever they ask, is
personal, and may go to the arms at home alone. Printed is the afternoon, of

- `no rule`: the router as it was, and how many personal requests it sends away;
- `rule`: a router that keeps personal requests at home, each arm masked before anything is scored;
- `all home`: compliance without classes: everything stays at home, as nobody knows what is personal;
- `foresight`: the rule, and the truly best arm of those allowed, known beforehand.

Quality is the chance to be right. The cost of compliance is `no rule` minus `rule`, with its standard error over seeds.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.survey_experiments import DIFFICULTIES, FINGERPRINT, SIZES, Pool, draw_pool
from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.cost.objective import POINT
from highwayman.env.types import Floats
from highwayman.sims.simulation.drawing import compose, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.worlds.regulation import Regulation

HOMES = ("8B", "1B;8B;30B")
SHARES = (0.1, 0.3, 0.6)
WAYS = ("no rule", "rule", "all home", "foresight")


def learned(pool: Pool, scenario: Scenario, policy_name: str, seed: int) -> Floats:
    """Return the probabilities (n, K) of a policy that starts from nothing."""
    path, options = parse_policy(policy_name)
    policy = load_policy(path, d=len(pool.contexts[0].features), fingerprint=FINGERPRINT, options=options)
    router = SimulatedRouter(pool.objective, ExplorationRules(0.02, floor_loss=FLOOR_LOSS), predicts=False)
    return simulate(policy, scenario, pool.contexts, router=router, rng=generator(seed, "draws"), frozen_for=10).probs


def afternoon(pool: Pool, home: str, share: float, *, policy: str, seed: int) -> Floats:
    """Return quality, that of personal requests, dollars of 1,000, and the share of those sent away, (4, 4) by way."""
    calm = pool.scenario()
    law = Regulation(share=share, allowed=home)
    ruled, everything = compose(calm, [law], seed=seed), compose(calm, [Regulation(1.0, allowed=home)], seed=seed)
    late, k = calm.between(0.5), len(calm.arms)
    may = np.isin(np.array(calm.arms), home.split(";"))
    barred = np.zeros(calm.available.shape, dtype=np.bool_) if ruled.barred is None else ruled.barred
    personal = barred[late].any(axis=1)
    utility = pool.chances - POINT * pool.objective.points_per_usd * pool.table.cost_usd
    foresight = np.eye(k)[np.where(ruled.available, utility, -np.inf).argmax(axis=1)]
    choices = [learned(pool, scenario, policy, seed) for scenario in (calm, ruled, everything)]
    told = []
    for probs in (*choices, foresight):
        quality = (probs * pool.chances).sum(axis=1)[late]
        usd = (probs * pool.table.cost_usd).sum(axis=1)[late]
        away = probs[late][:, ~may].sum(axis=1)[personal].mean()
        told.append([quality.mean(), quality[personal].mean(), 1000 * usd.mean(), away])
    return np.array(told)


def report(policy: str, rounds: int, seeds: int, *, homes: Sequence[str] = HOMES) -> None:
    """Print a table for each home and share."""
    for home in homes:
        for share in SHARES:
            found = np.empty((seeds, len(WAYS), 4))
            for seed in range(seeds):
                rng = generator(seed, "regulation")
                kinds = rng.choice(3, size=rounds)
                pool = draw_pool(SIZES, np.array(DIFFICULTIES)[kinds] + 0.2 * rng.standard_normal(rounds), rng)
                found[seed] = afternoon(pool, home, share, policy=policy, seed=seed)
            print(f"at home {home.replace(';', ', ')}; {share:.0%} personal; {seeds} seeds of {rounds:,} rounds")
            print(f"  {'':10}{'quality':>9}{'of personal':>13}{'$ per 1,000':>13}{'sent away':>11}")
            for way, name in enumerate(WAYS):
                quality, of_personal, usd, away = found[:, way].mean(axis=0)
                print(f"  {name:10}{quality:9.3f}{of_personal:13.3f}{usd:13.3f}{away:11.1%}")
            costs = found[:, 0] - found[:, 1]
            mean, error = costs.mean(axis=0), costs.std(axis=0, ddof=1) / np.sqrt(seeds)
            all_of, personal, usd = (f"{mean[k]:.3f} ± {error[k]:.3f}" for k in range(3))
            print(
                f"  compliance costs {all_of} of quality, {personal} of personal requests', and saves ${usd}\n",
                flush=True,
            )


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=6_000)
    parser.add_argument("--policy", default="HierTS")
    options = parser.parse_args()
    report(options.policy, options.rounds, options.seeds)


if __name__ == "__main__":
    main()
