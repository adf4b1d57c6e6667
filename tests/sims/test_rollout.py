import numpy as np

from highwayman.bandit.lin_ts import LinTS
from highwayman.bandit.uniform import Uniform
from highwayman.env.types import Context
from highwayman.sims.rollout import Rollout, rollout
from highwayman.sims.snips import snips
from highwayman.sims.table import FullTable

CONTEXTS = [Context(np.array([side, 1.0]), "f", 1) for side in (-1.0, 1.0)]
SPECIALISTS = FullTable.made(("a", "b"), np.array([[0.9, 0.2], [0.1, 0.8]]))


def run(seed: int, *, learns: bool = True) -> Rollout:
    policy = LinTS(d=2, fingerprint="f") if learns else Uniform(d=2)
    rng = np.random.default_rng(seed)
    return rollout(policy, SPECIALISTS, CONTEXTS, np.zeros(2), rounds=600, floor=0.02, rng=rng)


def test_a_seed_repeats_a_run() -> None:
    assert run(3).actions.tolist() == run(3).actions.tolist()
    assert run(3).actions.tolist() != run(4).actions.tolist()


def test_learning_beats_the_best_fixed_arm_where_arms_are_specialists() -> None:
    last = slice(400, None)
    for seed in range(5):
        done = run(seed)
        assert done.rewards[last].mean() > done.utilities[last].mean(axis=0).max() + 0.2


def test_the_reward_is_that_of_the_arm_chosen() -> None:
    done = run(0)
    assert done.rewards.tolist() == done.utilities[np.arange(600), done.actions].tolist()


def test_a_uniform_log_tells_what_a_policy_that_knows_would_earn() -> None:
    done = run(1, learns=False)
    knows = np.where(done.rows[:, None] == 0, [[1.0, 0.0]], [[0.0, 1.0]])
    estimate = snips(done.actions, done.propensities, done.rewards, knows)
    assert estimate.low < 0.85 < estimate.high
    assert 250 < estimate.ess < 350
