"""How soon a new arm that is better than all of a mature pool has half of the traffic.

    python -m benchmarks.newcomer [--seeds 20] [--answers 25000] [--better 0.05] [--policy NAME[:option=value,...]]...

Arms of quality .6, .65 and .7 have had so many rated answers each (a quarter, half, or all of what the largest has had
where `--uneven`); then one comes that is better than the best of them, and every answer is rated, by thumbs. Printed:
the round after which the newcomer's probability over 50 rounds is a half, exploration floor .02: the least, the
median, the ninth of ten, the most over the seeds, with 20,000 rounds where it never was.
"""

import argparse

import numpy as np

from highwayman.bandit.draw import draw
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.env.types import Context, Floats, RewardChange

QUALITY = (0.6, 0.65, 0.7)
ROUNDS, SMOOTHED, FLOOR = 20_000, 50, 0.02
D = 9
POLICIES = ("HierTS", "LinTS")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--answers", type=float, default=25_000.0)
    parser.add_argument("--better", type=float, default=0.05)
    parser.add_argument("--uneven", action="store_true")
    parser.add_argument("--policy", action="append", dest="policies")
    options = parser.parse_args()
    shares = (0.25, 0.5, 1.0) if options.uneven else (1.0, 1.0, 1.0)
    print(f"{options.seeds} seeds; rounds until a newcomer {options.better:g} better has half of the traffic")
    for spec in options.policies or POLICIES:
        weights = [options.answers * share for share in shares]
        taken = [rounds_to_half(spec, weights, options.better, seed=seed) for seed in range(options.seeds)]
        least, median, ninth, most = np.quantile(taken, [0.0, 0.5, 0.9, 1.0])
        print(
            f"  {spec:34} least {least:.0f}, median {median:.0f}, ninth of ten {ninth:.0f}, most {most:.0f}", flush=True
        )


def rounds_to_half(spec: str, weights: list[float], better: float, *, seed: int, most: int = ROUNDS) -> int:
    """Return how many rounds it takes, at most `most`."""
    path, options = parse_policy(spec)
    rng, policy = np.random.default_rng(seed), load_policy(path, d=D, fingerprint="", options=options)
    quality, arms = (*QUALITY, QUALITY[-1] + better), ("a", "b", "c", "new")
    for arm, mean, weight in zip(arms, QUALITY, weights, strict=False):
        policy.add_arm(arm)
        told = [_features(rng) for _ in range(400)]
        policy.learn([RewardChange(arm, x, weight / 400, weight / 400 * mean, weight / 400 * mean) for x in told])
    policy.add_arm("new")
    share = np.zeros(SMOOTHED)
    for n in range(most):
        x = _features(rng)
        drawn = draw(policy.probs(Context(x, "", 1), arms, np.zeros(4)), floor=FLOOR, rng=rng)
        share[n % SMOOTHED] = drawn.probs[-1]
        if share.mean() >= 0.5:
            return n + 1
        value = float(rng.random() < quality[drawn.action])
        policy.learn([RewardChange(arms[drawn.action], x, 1.0, value, value)])
    return most


def _features(rng: np.random.Generator) -> Floats:
    """Return features (D,) that say nothing of quality."""
    return np.append(rng.standard_normal(D - 1) / np.sqrt(D), 1.0)


if __name__ == "__main__":
    main()
