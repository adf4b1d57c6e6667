"""LinUCB of obp 0.5.7 and coba 8.1 over a log, and obp's off-policy estimators; run by benchmarks/replay.py.

    PYTHON benchmarks/replay_rivals.py SEED ROUNDS
    PYTHON benchmarks/replay_rivals.py LOG.npz

Each learner is asked about every round and then taught what was logged, one by one; obp's own run_bandit_replay would
teach it only the rounds it agrees with, and fails in 0.5.7 (it calls the module tqdm). Prints JSON: events per second
of processor time by name, and the log's fingerprint. With LOG.npz, which holds a log as benchmarks/off_policy_speed.py
writes it, prints obp's estimates on it and how long they take, in seconds of processor time, instead. Needs nothing of
Highwayman's, and runs under Python 3.10.
"""

import hashlib
import json
import sys
import time

import numpy as np

Log = tuple[np.ndarray, np.ndarray, np.ndarray]  # contexts (n, d), actions (n,), rewards (n,)
ARMS, FEATURES = 8, 64
ALPHA = 0.5
NUMPY_ROUNDS, OBP_ROUNDS, COBA_ROUNDS = 20_000, 5_000, 400


def rounds(n: int, seed: int) -> Log:
    """Return contexts (n, d), actions (n,) drawn evenly, and rewards (n,), 0 or 1, that depend on contexts linearly."""
    rng = np.random.default_rng(seed)
    contexts = rng.standard_normal((n, FEATURES))
    contexts[:, -1] = 1.0
    actions = rng.integers(0, ARMS, n)
    weights = rng.normal(0.0, 0.03, (ARMS, FEATURES))
    chances = np.clip(0.6 + (contexts * weights[actions]).sum(axis=1), 0.0, 1.0)
    return contexts, actions, (rng.random(n) < chances).astype(np.float64)


def fingerprint(contexts: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> str:
    """Return what tells one log from another."""
    return hashlib.sha256(contexts.tobytes() + actions.tobytes() + rewards.tobytes()).hexdigest()


def numpy_rate(contexts: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> float:
    """Return the events per second of the least a sequential LinUCB can do: no floor, no checks, no arms by name."""
    inverse, b = np.tile(np.eye(FEATURES), (ARMS, 1, 1)), np.zeros((ARMS, FEATURES))
    theta = np.zeros((ARMS, FEATURES))
    n = min(len(actions), NUMPY_ROUNDS)
    started = time.process_time()
    for x, action, reward in zip(contexts[:n], actions[:n].tolist(), rewards[:n].tolist(), strict=True):
        np.argmax(theta @ x + ALPHA * np.sqrt((inverse @ x) @ x))
        u = inverse[action] @ x
        inverse[action] -= np.outer(u, u / (1.0 + u @ x))
        b[action] += reward * x
        theta[action] = inverse[action] @ b[action]
    return n / (time.process_time() - started)


def obp_rate(contexts: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> float:
    """Return obp's events per second."""
    from obp.policy.linear import LinUCB  # noqa: PLC0415  (what is not installed is left out)

    policy = LinUCB(dim=FEATURES, n_actions=ARMS, epsilon=ALPHA, random_state=0)
    n = min(len(actions), OBP_ROUNDS)
    started = time.process_time()
    for context, action, reward in zip(contexts[:n], actions[:n].tolist(), rewards[:n].tolist(), strict=True):
        policy.select_action(context.reshape(1, -1))
        policy.update_params(action, reward, context.reshape(1, -1))
    return n / (time.process_time() - started)


def coba_rate(contexts: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> float:
    """Return coba's events per second, with its own choice of features."""
    from coba.learners import LinUCBLearner  # noqa: PLC0415

    learner = LinUCBLearner(alpha=ALPHA)
    arms = [tuple(float(k == arm) for k in range(ARMS)) for arm in range(ARMS)]
    n = min(len(actions), COBA_ROUNDS)
    given = [tuple(context) for context in contexts[:n].tolist()]
    started = time.process_time()
    for context, action, reward in zip(given, actions[:n].tolist(), rewards[:n].tolist(), strict=True):
        learner.predict(context, arms)
        learner.learn(context, arms[action], reward, 1 / ARMS)
    return n / (time.process_time() - started)


def rates(seed: int, n: int) -> dict[str, object]:
    """Return events per second by name on a log, and the log's fingerprint; what is not installed is left out."""
    log, found = rounds(n, seed), {}
    for name, rate in (("obp LinUCB", obp_rate), ("coba LinUCBLearner", coba_rate)):
        try:
            found[name] = rate(*log)
        except ImportError as error:
            print(f"{name}: {error}", file=sys.stderr)
    return {"rates": found, "log": fingerprint(*log)}


def estimates(path: str) -> dict[str, list[float]]:
    """Return obp's estimates on a log, and the least seconds each took in five times."""
    from obp.ope import (  # noqa: PLC0415
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
        ("ClippedIPS", InverseProbabilityWeighting(lambda_=float(log["cap"])), False),
        ("SNIPS", SelfNormalizedInverseProbabilityWeighting(), False),
        ("DirectMethod", DirectMethod(), True),
        ("DoublyRobust", DoublyRobust(), True),
        ("SwitchDR", SwitchDoublyRobust(lambda_=float(log["tau"])), True),
        ("DROS", DoublyRobustWithShrinkage(lambda_=float(log["lam"])), True),
    ):
        given = {**known, "estimated_rewards_by_reg_model": model} if modelled else known
        seconds = []
        for _ in range(5):
            started = time.process_time()
            value = estimator.estimate_policy_value(**given)
            seconds.append(time.process_time() - started)
        found[name] = [float(value), min(seconds)]
    return found


if __name__ == "__main__":
    print(json.dumps(estimates(sys.argv[1]) if len(sys.argv) == 2 else rates(int(sys.argv[1]), int(sys.argv[2]))))
