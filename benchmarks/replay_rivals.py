"""LinUCB of obp 0.5.7 and coba 8.1 over a log, and obp's off-policy estimators; run by benchmarks/replay.py.

    PYTHON benchmarks/replay_rivals.py SEED [LOG.npz]

Each learner is asked about every round and then taught what was logged, one by one. Prints JSON: events per second of
processor time by name. With LOG.npz, which holds a log as benchmarks/replay.py writes it, prints obp's estimates on it
and how long they take, in seconds of processor time, instead. Needs nothing of Highwayman's.
"""

# ruff: noqa: PLC0415  (each of the libraries may be missing)
import json
import sys
import time

import numpy as np

ARMS, FEATURES = 8, 64
OBP_ROUNDS, COBA_ROUNDS = 5_000, 400


def rounds(n, seed):
    """Return contexts (n, d), actions (n,) and rewards (n,)."""
    rng = np.random.default_rng(seed)
    contexts = rng.standard_normal((n, FEATURES))
    contexts[:, -1] = 1.0
    return contexts, rng.integers(0, ARMS, n), (rng.random(n) < 0.6).astype(float)


def obp_rate(seed):
    """Return obp's events per second."""
    from obp.policy.linear import LinUCB

    policy = LinUCB(dim=FEATURES, n_actions=ARMS, epsilon=0.5, random_state=seed)
    contexts, actions, rewards = rounds(OBP_ROUNDS, seed)
    started = time.process_time()
    for context, action, reward in zip(contexts, actions, rewards, strict=True):
        policy.select_action(context.reshape(1, -1))
        policy.update_params(int(action), float(reward), context.reshape(1, -1))
    return OBP_ROUNDS / (time.process_time() - started)


def coba_rate(seed):
    """Return coba's events per second."""
    from coba.learners import LinUCBLearner

    learner = LinUCBLearner(alpha=0.5, features=[1, "x", "xa"])
    contexts, actions, rewards = rounds(COBA_ROUNDS, seed)
    arms = [tuple(float(k == arm) for k in range(ARMS)) for arm in range(ARMS)]
    contexts = [tuple(context) for context in contexts.tolist()]
    started = time.process_time()
    for context, action, reward in zip(contexts, actions.tolist(), rewards.tolist(), strict=True):
        learner.predict(context, arms)
        learner.learn(context, arms[action], reward, 1 / ARMS)
    return COBA_ROUNDS / (time.process_time() - started)


def estimates(path):
    """Return obp's estimates on a log, and the seconds each took."""
    from obp.ope import (
        DirectMethod,
        DoublyRobust,
        DoublyRobustWithShrinkage,
        InverseProbabilityWeighting,
        SelfNormalizedInverseProbabilityWeighting,
        SwitchDoublyRobust,
    )

    log = np.load(path)
    known = {
        "reward": log["rewards"],
        "action": log["actions"],
        "pscore": log["propensities"],
        "action_dist": log["target"][:, :, None],
        "position": np.zeros(len(log["rewards"]), dtype=int),
    }
    model = log["model"][:, :, None]
    found = {}
    for name, estimator, modelled in (
        ("IPS", InverseProbabilityWeighting(), False),
        ("SNIPS", SelfNormalizedInverseProbabilityWeighting(), False),
        ("DirectMethod", DirectMethod(), True),
        ("DoublyRobust", DoublyRobust(), True),
        ("SwitchDR", SwitchDoublyRobust(lambda_=float(log["tau"])), True),
        ("DROS", DoublyRobustWithShrinkage(lambda_=float(log["lam"])), True),
    ):
        given = {**known, "estimated_rewards_by_reg_model": model} if modelled else known
        started = time.process_time()
        value = estimator.estimate_policy_value(**given)
        found[name] = [float(value), time.process_time() - started]
    return found


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(estimates(sys.argv[2])))
    else:
        number = int(sys.argv[1])
        found = {}
        for name, rate in (("obp LinUCB", obp_rate), ("coba LinUCBLearner", coba_rate)):
            try:
                found[name] = rate(number)
            except ImportError as error:
                print(f"{name}: {error}", file=sys.stderr)
        print(json.dumps(found))
