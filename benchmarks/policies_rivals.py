"""Decide and learn with other libraries; run by benchmarks/policies.py under an interpreter that has them.

    PYTHON benchmarks/policies_rivals.py SEED SEEN ROUNDS

Prints JSON: by library and algorithm the median times of a call, in microseconds of processor time, on the same rounds
as ours. A library that is not installed is left out. Needs nothing of Highwayman's.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np

ARMS, FEATURES = 8, 64
NAMES = list("abcdefgh")


def rounds(n, seed):
    """Return contexts (n, d), actions (n,) drawn evenly, and rewards (n,), 0 or 1, that depend on contexts linearly."""
    rng = np.random.default_rng(seed)
    contexts = rng.standard_normal((n, FEATURES)) / np.sqrt(FEATURES)
    contexts[:, -1] = 1.0
    actions = rng.integers(0, ARMS, n)
    weights = rng.normal(0.0, 0.3, (ARMS, FEATURES))
    chances = np.clip(0.6 + (contexts * weights[actions]).sum(axis=1), 0.0, 1.0)
    return contexts, actions, (rng.random(n) < chances).astype(np.float64)


def median(work, n):
    """Return the median time of a call, in microseconds of processor time."""
    times = np.empty(n)
    for t in range(n):
        started = time.process_time_ns()
        work(t)
        times[t] = time.process_time_ns() - started
    return float(np.median(times)) / 1e3


def measured(decide, learn, seen, n):
    """Return the times of calls after `seen` rounds were learned."""
    for t in range(seen):
        learn(t)
    return {
        "decide": median(lambda t: decide(seen + t), n),
        "learn": median(lambda t: learn(seen + t), n),
        "batch": None,
    }


def vowpal_wabbit(log, seen, n):
    """Squarecb of the official package, by text lines: its only way in."""
    from vowpalwabbit import pyvw  # noqa: PLC0415

    contexts, actions, rewards = log
    workspace = pyvw.Workspace("--cb_explore_adf --squarecb --cb_type mtr --quiet -q sa -b 18")
    shared = ["shared |s " + " ".join(f"{i}:{v:.5f}" for i, v in enumerate(x)) for x in contexts]
    arms = [f"|a {name}" for name in NAMES]

    def decide(t):
        return workspace.predict("\n".join([shared[t], *arms]))

    def learn(t):
        lines = list(arms)
        lines[actions[t]] = f"0:{-rewards[t]}:0.125 {lines[actions[t]]}"
        workspace.learn("\n".join([shared[t], *lines]))

    return measured(decide, learn, seen, n)


def mab_wiser(policy, log, seen, n):
    """LinTS or LinUCB of MABWiser, fitted one round at a time."""
    from mabwiser.mab import MAB, LearningPolicy  # noqa: PLC0415

    contexts, actions, rewards = log
    mab = MAB(NAMES, getattr(LearningPolicy, policy)(alpha=0.3))
    mab.fit([NAMES[a] for a in actions[:seen]], rewards[:seen].tolist(), contexts[:seen])

    def learn(t):
        mab.partial_fit([NAMES[actions[t]]], [rewards[t]], contexts[t : t + 1])

    return {
        "decide": median(lambda t: mab.predict(contexts[seen + t : seen + t + 1]), n),
        "learn": median(lambda t: learn(seen + t), n),
        "batch": median(lambda t: mab.predict(np.tile(contexts[seen:], (1_000 // n + 1, 1))[:1_000]), 3) / 1_000,
    }


def river(log, seen, n):
    """Disjoint LinUCB of river, whose contexts are dictionaries."""
    from river import bandit  # noqa: PLC0415

    contexts, actions, rewards = log
    policy = bandit.LinUCBDisjoint(alpha=0.3)
    asked = [{str(i): float(v) for i, v in enumerate(x)} for x in contexts]
    few = min(seen, 400)  # some milliseconds each

    def learn(t):
        policy.update(NAMES[actions[t]], asked[t], float(rewards[t]))

    return measured(lambda t: policy.pull(NAMES, asked[t]), learn, few, min(n, 300))


def contextual_bandits(policy, log, seen, n, **options):
    """LinTS or LinUCB of contextualbandits."""
    from contextualbandits import online  # noqa: PLC0415

    contexts, actions, rewards = log
    model = getattr(online, policy)(nchoices=ARMS, **options)
    model.fit(contexts[:seen], actions[:seen], rewards[:seen])

    def learn(t):
        model.partial_fit(contexts[t : t + 1], actions[t : t + 1], rewards[t : t + 1])

    return {
        "decide": median(lambda t: model.predict(contexts[seen + t : seen + t + 1]), n),
        "learn": median(lambda t: learn(seen + t), n),
        "batch": median(lambda t: model.predict(np.tile(contexts[seen:], (1_000 // n + 1, 1))[:1_000]), 3) / 1_000,
    }


def pareto_bandit(log, seen, n):
    """The router ParetoBandit's policy, without its encoder and pacer."""
    from pareto_bandit.policy import DisjointLinUCBPolicy  # noqa: PLC0415

    contexts, actions, rewards = log
    policy = DisjointLinUCBPolicy(NAMES, dim=FEATURES, alpha=0.3, seed=0)

    def learn(t):
        policy.update(NAMES[actions[t]], contexts[t], float(rewards[t]))

    return measured(lambda t: policy.select_arm(contexts[t], NAMES), learn, seen, n)


def main():
    """Print what there is."""
    seed, seen, n = map(int, sys.argv[1:4])
    log = rounds(seen + n, seed)
    found = {}
    for package, name, work in (
        ("vowpalwabbit", "squarecb", vowpal_wabbit),
        ("mabwiser", "LinTS", lambda *given: mab_wiser("LinTS", *given)),
        ("mabwiser", "LinUCB", lambda *given: mab_wiser("LinUCB", *given)),
        ("river", "LinUCBDisjoint", river),
        ("contextualbandits", "LinTS", lambda *given: contextual_bandits("LinTS", *given, v_sq=0.1)),
        ("contextualbandits", "LinUCB", lambda *given: contextual_bandits("LinUCB", *given, alpha=0.3)),
        ("paretobandit", "DisjointLinUCB", pareto_bandit),
    ):
        try:
            label = f"{package} {version(package)} {name}"
            found[label] = work(log, seen, n)
        except ImportError as error:
            print(f"{package}: {error}", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
