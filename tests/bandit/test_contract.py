"""What holds for every policy. A new one in highwayman.bandit.policies is found here without being told of."""

import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import pytest

import highwayman.bandit.policies
from highwayman.bandit.draw import draw
from highwayman.bandit.loading import load_policy
from highwayman.bandit.policy import Policy
from highwayman.env.errors import ConfigError, SnapshotError
from highwayman.env.types import Context, RewardChange

D = 5
FINGERPRINT = "contract"
ARMS = ("a", "b", "c", "d")
METHODS = ("probs", "learn", "add_arm", "drop_arm", "state", "restore")


def _is_policy(found: type) -> bool:
    if found is Policy or inspect.isabstract(found):
        return False
    if not all(callable(getattr(found, name, None)) for name in METHODS):
        return False
    return {"d", "fingerprint"} <= set(inspect.signature(found).parameters)


def _discovered() -> list[Any]:
    """Return the import path of every policy; a module whose extra is not installed gives one skipped test."""
    found: list[Any] = []
    for module_info in pkgutil.iter_modules(highwayman.bandit.policies.__path__, "highwayman.bandit.policies."):
        try:
            module = importlib.import_module(module_info.name)
        except ImportError as error:
            found.append(pytest.param(module_info.name, marks=pytest.mark.skip(reason=str(error))))
            continue
        classes = [
            each for _, each in inspect.getmembers(module, inspect.isclass) if each.__module__ == module.__name__
        ]
        found += [f"{module.__name__}:{each.__name__}" for each in classes if _is_policy(each)]
    return found


PATHS = _discovered()
every_policy = pytest.mark.parametrize("path", PATHS)


def fresh(path: str, arms: tuple[str, ...] = ARMS) -> Policy:
    policy = load_policy(path, d=D, fingerprint=FINGERPRINT)
    for arm in arms:
        policy.add_arm(arm)
    return policy


def queries(n: int, *, seed: int) -> list[Context]:
    """Return n contexts as an encoder makes them: float32 values, the last one 1."""
    features = np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32).astype(np.float64)
    features[:, -1] = 1.0
    return [Context(row, FINGERPRINT, prompt_tokens=20) for row in features]


def history(n: int = 60, *, seed: int = 0) -> list[RewardChange]:
    """Return n rewards of arms that differ, every fifth of them flipped later, every seventh taken back."""
    rng = np.random.default_rng(seed)
    changes: list[RewardChange] = []
    for i, query in enumerate(queries(n, seed=seed + 1)):
        place = int(rng.integers(len(ARMS)))
        value = float(rng.random() < 0.2 + 0.2 * place)
        arm, x = ARMS[place], query.features
        changes.append(RewardChange(arm, x, 1.0, value, value))
        if i % 5 == 0:
            changes.append(RewardChange(arm, x, 0.0, 1 - 2 * value, 1 - 2 * value))
        elif i % 7 == 0:
            changes.append(RewardChange(arm, x, -1.0, -value, -value))
    return changes


def taught(path: str) -> Policy:
    policy = fresh(path)
    policy.learn(history())
    return policy


def all_probs(policy: Policy) -> list[float]:
    penalties = np.array([0.0, 0.1, 0.2, 0.05])
    return [p for query in queries(5, seed=9) for p in policy.probs(query, ARMS, penalties).tolist()]


def test_the_policies_are_found() -> None:
    assert {"highwayman.bandit.policies.lin_ts:LinTS", "highwayman.bandit.policies.uniform:Uniform"} <= set(
        map(str, PATHS)
    )
    assert not any("LinearPosterior" in str(path) for path in PATHS)


@every_policy
def test_probs_are_a_distribution_over_the_eligible_arms(path: str) -> None:
    for policy in (fresh(path), taught(path)):
        for arms in (ARMS, ("a",), ("d", "b"), ("c", "a", "d")):
            for query in queries(5, seed=3):
                probs = policy.probs(query, arms, np.linspace(0.0, 0.3, len(arms)))
                assert probs.shape == (len(arms),)
                assert probs.dtype == np.float64
                assert probs.min() >= 0.0
                assert probs.sum() == pytest.approx(1.0, abs=1e-9)


@every_policy
def test_a_single_eligible_arm_is_certain(path: str) -> None:
    assert taught(path).probs(queries(1, seed=4)[0], ["c"], np.array([0.3])).tolist() == [1.0]


@every_policy
def test_probs_come_in_the_order_of_the_arms_asked_for(path: str) -> None:
    policy, (query,) = taught(path), queries(1, seed=5)
    forward = policy.probs(query, ARMS, np.array([0.0, 0.1, 0.2, 0.3]))
    backward = policy.probs(query, ARMS[::-1], np.array([0.3, 0.2, 0.1, 0.0]))
    assert backward[::-1] == pytest.approx(forward, abs=1e-9)


@every_policy
def test_asking_changes_nothing(path: str) -> None:
    policy, penalties = taught(path), np.array([0.0, 0.1, 0.2, 0.3])
    (query,) = queries(1, seed=5)
    state, features = policy.state(), query.features.copy()
    first, second = (policy.probs(query, ARMS, penalties).tolist() for _ in range(2))
    assert first == second
    assert policy.state() == state
    assert query.features.tolist() == features.tolist()
    assert penalties.tolist() == [0.0, 0.1, 0.2, 0.3]


@every_policy
def test_equal_histories_give_equal_states_and_probabilities(path: str) -> None:
    one, other = taught(path), taught(path)
    assert one.state() == other.state()
    assert all_probs(one) == all_probs(other)


@every_policy
def test_learning_in_batches_equals_learning_at_once(path: str) -> None:
    policy = fresh(path)
    for change in history():
        policy.learn([change])
    assert policy.state() == taught(path).state()
    policy.learn([])
    assert policy.state() == taught(path).state()


@every_policy
def test_the_state_round_trips_with_the_probabilities(path: str) -> None:
    policy = taught(path)
    again, third = fresh(path, arms=()), fresh(path, arms=("z",))
    for one in (again, third):
        one.restore(policy.state())
        assert one.state() == policy.state()
    assert all_probs(again) == pytest.approx(all_probs(policy), abs=1e-9)
    assert all_probs(again) == all_probs(third)  # replicas that restore the same bytes agree to the last bit


@every_policy
def test_a_restored_policy_goes_on_like_the_one_it_came_from(path: str) -> None:
    policy, again = taught(path), fresh(path, arms=())
    again.restore(policy.state())
    for one in (policy, again):
        one.learn(history(20, seed=5))
    assert again.state() == policy.state()
    assert all_probs(again) == pytest.approx(all_probs(policy), abs=1e-9)


@every_policy
@pytest.mark.parametrize("damage", [lambda state: state[:-3], lambda state: b"", lambda state: b"x" + state[1:]])
def test_a_damaged_snapshot_is_refused_and_changes_nothing(path: str, damage: Any) -> None:
    policy = taught(path)
    state, before = policy.state(), all_probs(policy)
    with pytest.raises(SnapshotError):
        policy.restore(damage(state))
    assert policy.state() == state
    assert all_probs(policy) == before


@every_policy
def test_adding_an_arm_twice_or_dropping_it_loses_nothing_learned(path: str) -> None:
    policy = taught(path)
    before = all_probs(policy)
    policy.add_arm("b")
    policy.drop_arm("b")
    policy.add_arm("b")
    assert all_probs(policy) == pytest.approx(before, abs=1e-12)


@every_policy
def test_an_arm_added_late_can_be_drawn_at_once(path: str) -> None:
    policy = taught(path)
    policy.add_arm("new")
    probs = policy.probs(queries(1, seed=6)[0], ["a", "new"], np.zeros(2))
    assert draw(probs, floor=0.02, rng=np.random.default_rng(0)).probs[1] >= 0.01


@every_policy
def test_many_contexts_at_once_get_what_they_get_one_by_one(path: str) -> None:
    policy = taught(path)
    many = getattr(policy, "probs_many", None)
    if many is None:
        pytest.skip("asked one by one only")
    asked, penalties = queries(7, seed=8), np.random.default_rng(8).random((7, 4)) / 5
    one_by_one = [policy.probs(query, ARMS, row) for query, row in zip(asked, penalties, strict=True)]
    at_once = many(np.array([query.features for query in asked]), ARMS, penalties)
    assert at_once == pytest.approx(np.array(one_by_one), abs=1e-9)


@every_policy
def test_an_unknown_option_is_a_config_error_that_names_it(path: str) -> None:
    with pytest.raises(ConfigError, match="no_such_option"):
        load_policy(path, d=D, fingerprint=FINGERPRINT, options={"no_such_option": 1})
