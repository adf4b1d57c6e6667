import numpy as np
import pytest

from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.bandit.regression.hier_posterior import HierPosterior, HierPrior
from highwayman.bandit.regression.marginal_likelihood import _log_evidence, empirical_bayes_precision
from highwayman.env.types import Floats, RewardChange

D, ARMS = 4, ("a", "b", "c")
ROOT = np.array([30.0, 30.0, 30.0, 1.0]), np.array([0.0, 0.0, 0.0, 0.6])
NOISE = (0.15, 20.0)


def told(n: int, apart: float, *, seed: int = 0) -> list[RewardChange]:
    """Return n rewards of arms whose own coefficients have deviation `apart`, around one that they share."""
    rng = np.random.default_rng(seed)
    shared, own = rng.normal(0, 0.2, D), rng.normal(0, apart, (len(ARMS), D))
    found = []
    for _ in range(n):
        arm, x = int(rng.integers(len(ARMS))), np.append(rng.normal(size=D - 1), 1.0)
        value = float(x @ (shared + own[arm]) + 0.3 * rng.normal())
        found.append(RewardChange(ARMS[arm], x, 1.0, value, value**2))
    return found


def sums_of(changes: list[RewardChange]) -> ArmStatistics:
    sums = ArmStatistics(D)
    for arm in ARMS:
        sums.add_arm(arm)
    for change in changes:
        sums.add(sums.row(change.arm), change)
    return sums


def test_the_evidence_is_that_of_the_rewards_themselves() -> None:
    changes = told(40, 0.3)
    sums = sums_of(changes)

    def directly(own: Floats) -> float:
        """Return the log density of the rewards with coefficients integrated out and the noise at its best."""
        x = np.array([change.features for change in changes])
        rewards = np.array([change.weighted for change in changes])
        same = np.array([[one.arm == other.arm for other in changes] for one in changes])
        shape = np.eye(len(x)) + (x / ROOT[0]) @ x.T + same * ((x / own) @ x.T)
        off = rewards - x @ ROOT[1]
        variance = (NOISE[0] * NOISE[1] + off @ np.linalg.solve(shape, off)) / (NOISE[1] + len(x))
        return float(-0.5 * (len(x) + NOISE[1]) * np.log(variance) - 0.5 * np.linalg.slogdet(shape)[1])

    tight, loose = (np.array([precision] * 3 + [1.0]) for precision in (50.0, 2.0))
    found = _log_evidence(sums, tight, ROOT, NOISE) - _log_evidence(sums, loose, ROOT, NOISE)
    assert found == pytest.approx(directly(tight) - directly(loose), abs=1e-6)


def test_arms_far_apart_are_told_from_arms_that_differ_by_a_constant() -> None:
    assert empirical_bayes_precision(sums_of(told(300, 0.0)), 1.0, ROOT, NOISE) in (None, 60.0)
    far = empirical_bayes_precision(sums_of(told(300, 0.5)), 1.0, ROOT, NOISE)
    assert far is not None
    assert far <= 0.6  # 0.3^2 / 0.5^2 = 0.36
    assert empirical_bayes_precision(sums_of(told(5, 0.5)), 1.0, ROOT, NOISE) is None


def test_specialists_are_learned_sooner_where_evidence_may_speak() -> None:
    x = np.array([1.0, 0.0, 0.0, 1.0])
    means = {}
    for caution in (10.0, 1e9):
        posterior = HierPosterior(d=D, prior=HierPrior(caution=caution))
        for arm in ARMS:
            posterior.add_arm(arm)
        rng = np.random.default_rng(1)
        for _ in range(240):
            arm = int(rng.integers(3))
            side = rng.choice([-1.0, 1.0])
            query = np.array([side, 0.0, 0.0, 1.0])
            value = float(rng.random() < (0.9 if side * (1, -1, 0)[arm] > 0 else 0.2))
            posterior.update([RewardChange(ARMS[arm], query, 1.0, value, value)])
        means[caution] = posterior.mean_and_std(x, ARMS)[0]
    gaps = {caution: found[0] - found[1] for caution, found in means.items()}
    assert gaps[10.0] > gaps[1e9] + 0.05
