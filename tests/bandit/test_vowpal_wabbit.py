import numpy as np
import pytest

from highwayman.bandit.policy import Policy
from highwayman.env.types import Context, Floats, RewardChange

pytest.importorskip("vowpal_wabbit_next")
from highwayman.bandit.vowpal_wabbit import EXPLORATIONS, VowpalWabbit

ARMS = ("a", "b", "c")
ONE = np.array([0.5, 1.0])


def policy(exploration: str = "squarecb") -> Policy:
    made = VowpalWabbit(d=2, exploration=exploration)
    for arm in ARMS:
        made.add_arm(arm)
    return made


def taught(exploration: str, n: int = 300) -> Policy:
    """Return a policy that has seen a at .9, b at .3 and c at .5, n rounds in all."""
    made = policy(exploration)
    for t in range(n):
        value = (0.9, 0.3, 0.5)[t % 3]
        made.learn([RewardChange(ARMS[t % 3], ONE, 1.0, value, value**2)])
    return made


def probs(of: Policy, penalties: Floats) -> Floats:
    return of.probs(Context(ONE, "", 1), ARMS, penalties)


@pytest.mark.parametrize("exploration", EXPLORATIONS)
def test_every_exploration_finds_the_best_arm_and_obeys_a_penalty_at_once(exploration: str) -> None:
    made = taught(exploration)
    assert probs(made, np.zeros(3)).argmax() == 0
    moved = probs(made, np.array([0.8, 0.0, 0.0]))
    assert moved.argmax() != 0
    assert moved.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("exploration", EXPLORATIONS)
def test_every_exploration_survives_its_state(exploration: str) -> None:
    made, again = taught(exploration), policy(exploration)
    again.restore(made.state())
    for penalties in (np.zeros(3), np.array([0.8, 0.0, 0.1])):
        assert probs(again, penalties) == pytest.approx(probs(made, penalties), abs=1e-6)


def test_learns_a_different_best_arm_for_each_kind_of_query() -> None:
    made, rng = policy(), np.random.default_rng(0)
    for _ in range(1500):
        x = np.array([rng.choice([-1.0, 1.0]), 1.0])
        arm = int(rng.integers(3))
        value = float(rng.random() < (0.9 if arm == (x[0] > 0) else 0.2))
        made.learn([RewardChange(ARMS[arm], x, 1.0, value, value)])
    for side, best in ((-1.0, 0), (1.0, 1)):
        assert made.probs(Context(np.array([side, 1.0]), "", 1), ARMS, np.zeros(3)).argmax() == best


def test_an_unknown_exploration_and_an_argument_that_is_none_are_named() -> None:
    with pytest.raises(ValueError, match="exploration must be one of squarecb, cover"):
        VowpalWabbit(d=2, exploration="guess")
    with pytest.raises(ValueError, match="--no_such_thing"):
        VowpalWabbit(d=2, arguments=["--no_such_thing"])
