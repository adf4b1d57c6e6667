import numpy as np
import pytest

from highwayman.bandit.best_arm import best_arm_probs
from highwayman.bandit.preferences.joint_gaussian import JointGaussian, quasi_variances
from highwayman.env.types import Floats

K, D = 4, 3


def prior() -> JointGaussian:
    covariance = np.zeros((K, D, K, D))
    covariance[np.arange(K), :, np.arange(K), :] = np.diag([0.5, 0.2, 0.1])
    return JointGaussian(np.full((K, D), 0.1), covariance)


def evidence(n: int) -> list[tuple[list[tuple[int, float]], Floats, float, float]]:
    """Return n pieces of Gaussian evidence on arms and on differences of two."""
    rng, found = np.random.default_rng(0), []
    for i in range(n):
        one, other = (int(place) for place in rng.choice(K, 2, replace=False))
        signed = [(one, 1.0)] if i % 3 == 0 else [(one, 1.0), (other, -1.0)]
        found.append((signed, rng.normal(size=D), float(rng.uniform(0.1, 3.0)), float(rng.normal())))
    return found


def spread_of(covariance: Floats, x: Floats) -> Floats:
    return np.einsum("i,kilj,j->kl", x, covariance, x)


def test_rank_one_updates_and_downdates_come_to_what_solving_all_at_once_does() -> None:
    told = evidence(75)  # more than twice the updates that wait for each other
    taken_back = told[10:20]
    joint = prior()
    for signed, x, precision, pull in told:
        assert joint.condition(joint.contrast(signed, x), precision, pull)
    for signed, x, precision, pull in taken_back:
        assert joint.condition(joint.contrast(signed, x), -precision, -pull)
    stay = [*told[:10], *told[20:]]
    matrix = np.linalg.inv(prior().covariance().reshape(K * D, K * D))
    right = matrix @ prior().mean.ravel()
    for signed, x, precision, pull in stay:
        direction = np.zeros((K, D))
        for place, sign in signed:
            direction[place] += sign * x
        matrix += precision * np.outer(direction, direction)
        right += pull * direction.ravel()
    wanted = np.linalg.inv(matrix)
    assert joint.covariance().reshape(K * D, K * D) == pytest.approx(wanted, abs=1e-9)
    assert joint.mean.ravel() == pytest.approx(wanted @ right, abs=1e-9)


def test_what_waits_to_be_subtracted_is_known_to_whoever_asks() -> None:
    joint, x = prior(), np.array([0.3, -1.0, 1.0])
    for signed, features, precision, pull in evidence(40):
        joint.condition(joint.contrast(signed, features), precision, pull)
        found = joint.contrast([(0, 1.0), (2, -1.0)], x)
        between = spread_of(joint.covariance(), x)
        assert found.variance == pytest.approx(between[0, 0] + between[2, 2] - 2 * between[0, 2], abs=1e-12)
        squares = joint.mean_and_quasi_variance(x, slice(0, 3))[1]
        assert squares == pytest.approx(np.maximum(quasi_of(between[:3, :3]), 0.0), abs=1e-12)


def quasi_of(covariance: Floats) -> Floats:
    return quasi_variances(covariance.diagonal(), covariance.sum(axis=1))


def test_a_downdate_that_would_lose_digits_is_refused_and_changes_nothing() -> None:
    joint, x = prior(), np.array([0.0, 0.0, 1.0])
    assert not joint.condition(
        joint.contrast([(0, 1.0)], x), -10.0 + 1e-8, 0.0
    )  # the prior's own precision there is 10
    assert joint.covariance() == pytest.approx(prior().covariance())
    assert joint.mean == pytest.approx(prior().mean)


def test_quasi_variances_of_independent_arms_are_their_variances_whatever_moves_all_alike() -> None:
    own = np.array([0.1, 0.4, 0.9, 2.0, 0.3])
    assert quasi_of(np.diag(own) + 7.0) == pytest.approx(own)


def test_quasi_variances_of_three_arms_give_the_variance_of_every_difference() -> None:
    root = np.random.default_rng(1).normal(size=(3, 3))
    covariance = root @ root.T
    found = quasi_of(covariance)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        wanted = covariance[one, one] + covariance[other, other] - 2 * covariance[one, other]
        assert found[one] + found[other] == pytest.approx(wanted)


def test_quasi_variances_of_two_arms_share_their_difference_and_one_arm_keeps_its_own() -> None:
    assert quasi_of(np.array([[3.0, 1.0], [1.0, 2.0]])) == pytest.approx([1.5, 1.5])
    assert quasi_of(np.array([[3.0]])) == pytest.approx([3.0])


def test_probabilities_from_quasi_variances_are_near_those_of_the_correlated_arms() -> None:
    joint, x = prior(), np.array([0.5, 0.5, 1.0])
    for signed, features, precision, pull in evidence(12):
        joint.condition(joint.contrast(signed, features), precision, 0.1 * pull)
    means, squares = joint.mean_and_quasi_variance(x, slice(0, K))
    rng = np.random.default_rng(2)
    drawn = rng.multivariate_normal(joint.mean @ x, spread_of(joint.covariance(), x), size=200_000)
    exact = np.bincount(drawn.argmax(axis=1), minlength=K) / len(drawn)
    assert best_arm_probs(means, np.sqrt(squares)) == pytest.approx(exact, abs=0.03)


def test_many_contexts_at_once_get_what_each_gets() -> None:
    joint = prior()
    for signed, x, precision, pull in evidence(40):
        joint.condition(joint.contrast(signed, x), precision, pull)
    features = np.random.default_rng(3).normal(size=(6, D))
    for rows in (slice(0, K), [2, 0], [1]):
        means, squares = joint.mean_and_quasi_variance_many(features, rows)
        for x, mean, square in zip(features, means, squares, strict=True):
            assert joint.mean_and_quasi_variance(x, rows)[0] == pytest.approx(mean, abs=1e-12)
            assert joint.mean_and_quasi_variance(x, rows)[1] == pytest.approx(square, abs=1e-12)
