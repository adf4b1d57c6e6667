import numpy as np
import pytest

from benchmarks.learning import BLIND, cost_problem
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.types import Context, RewardChange
from highwayman.sims.tables.table import FullTable


@pytest.mark.parametrize(
    ("costs", "weight", "problem"),
    [
        ([[1.0, np.nan, np.nan], [1.0, 2.0, np.nan]], 0.15, "as the table lacks costs of b, c"),
        ([[np.nan] * 3] * 2, 0.15, "as the table lacks costs of a, b, c"),
        ([[np.nan] * 3] * 2, 0.0, ""),
        ([[1.0, 2.0, 3.0]] * 2, 0.15, ""),
    ],
)
def test_a_cost_weight_that_is_not_run_is_told_with_the_arms_whose_costs_are_missing(
    costs: list[list[float]], weight: float, problem: str
) -> None:
    table = FullTable.from_arrays(("a", "b", "c"), np.full((2, 3), 0.5), cost_usd=np.array(costs))
    assert cost_problem(table, weight) == problem


def test_the_rival_without_contexts_is_the_default_that_never_saw_one() -> None:
    path, options = parse_policy(BLIND)
    rival, unseeing = load_policy(path, d=4, fingerprint="", options=options), HierTS(d=1)
    assert isinstance(rival, HierTS)
    rng, arms, one = np.random.default_rng(0), ("a", "b", "c"), np.ones(1)
    for policy in (rival, unseeing):
        for arm in arms:
            policy.add_arm(arm)
    for _ in range(400):
        x, arm = np.append(rng.normal(size=3), 1.0), arms[rng.integers(3)]
        reward = float(rng.random() < 0.5 + 0.1 * arms.index(arm) + 0.2 * x[0])
        rival.learn([RewardChange(arm, x, 1.0, reward, reward)])
        unseeing.learn([RewardChange(arm, one, 1.0, reward, reward)])
    same = unseeing.probs(Context(one, "", 1), arms, np.zeros(3))
    assert rival.probs(Context(x, "", 1), arms, np.zeros(3)) == pytest.approx(same, abs=1e-4)
    assert rival.posterior.noise_variance() == pytest.approx(unseeing.posterior.noise_variance(), rel=1e-6)
