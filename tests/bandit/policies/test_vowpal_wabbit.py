from typing import Any

import numpy as np
import pytest

from highwayman.bandit import snapshot
from highwayman.bandit.policy import Policy
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

pytest.importorskip("vowpal_wabbit_next")
import vowpal_wabbit_next as vw

from highwayman.bandit.models.vw_workspace import ARMS as MOST_ARMS
from highwayman.bandit.models.vw_workspace import VwWorkspace, new_model
from highwayman.bandit.policies.vowpal_wabbit import EXPLORATIONS, TUNING, VowpalWabbit

ARMS = ("a", "b", "c")
ONE = np.array([0.5, 1.0])
every_exploration = pytest.mark.parametrize("exploration", EXPLORATIONS)


def policy(exploration: str = "squarecb", **options: Any) -> VowpalWabbit:
    made = VowpalWabbit(d=2, exploration=exploration, **options)
    for arm in ARMS:
        made.add_arm(arm)
    return made


def steady(n: int) -> list[RewardChange]:
    """Return n rounds of one query that say a is at .9, b at .3 and c at .5."""
    return [said(ARMS[t % 3], ONE, (0.9, 0.3, 0.5)[t % 3], at=t + 1) for t in range(n)]


def said(arm: str, x: Floats, quality: float, *, at: float, weight: float = 1.0) -> RewardChange:
    return RewardChange(arm, x, weight, weight * quality, weight * quality**2, at)


def mixed(n: int, *, seed: int = 0) -> list[RewardChange]:
    rng = np.random.default_rng(seed)
    return [
        said(ARMS[int(rng.integers(3))], np.array([rng.normal(), 1.0]), float(rng.random()), at=1000 * seed + t + 1.0)
        for t in range(n)
    ]


def taught(exploration: str, changes: list[RewardChange], **options: Any) -> VowpalWabbit:
    made = policy(exploration, **options)
    made.learn(changes)
    return made


def probs(of: Policy, penalties: Floats, x: Floats = ONE) -> Floats:
    return of.probs(Context(x, "", 1), ARMS, penalties)


def everywhere(of: Policy) -> list[list[float]]:
    return [probs(of, np.array([0.0, 0.1, 0.05]), np.array([x, 1.0])).tolist() for x in (-2.0, -0.5, 0.1, 1.5)]


@every_exploration
def test_every_exploration_finds_the_best_arm_and_obeys_a_penalty_at_once(exploration: str) -> None:
    made = taught(exploration, steady(300))
    assert probs(made, np.zeros(3)).argmax() == 0
    moved = probs(made, np.array([0.8, 0.0, 0.0]))
    assert moved.argmax() != 0
    assert moved.sum() == pytest.approx(1.0)


@every_exploration
def test_the_same_penalty_for_all_changes_nothing(exploration: str) -> None:
    made = taught(exploration, mixed(300))
    for x in np.random.default_rng(1).normal(size=20):
        free, dear = (probs(made, np.full(3, penalty), np.array([x, 1.0])) for penalty in (0.0, 0.5))
        assert dear == pytest.approx(free, abs=1e-5)


@pytest.mark.parametrize("penalties", [[0.05, 0.0, 0.0], [0.0, 0.3, 0.1], [2.0, 0.0, 1.0], [-0.5, 0.0, 0.0]])
def test_a_penalty_is_added_to_the_cost_that_is_predicted(penalties: list[float]) -> None:
    # Softmax with lambda 20: the logarithm of a probability is -20 costs and a constant.
    made = taught("softmax", steady(900))
    free, dear = (np.log(probs(made, of)) / -20 for of in (np.zeros(3), np.array(penalties)))
    assert free - free[0] == pytest.approx([0.0, 0.6, 0.4], abs=0.01)
    acted = dear - free
    assert acted - acted[0] == pytest.approx(np.array(penalties) - penalties[0], abs=1e-4)


def test_square_cb_weighs_by_the_inverse_gap_of_cost_and_penalty() -> None:
    # Of three arms the two worse ones get 1 / (3 + gamma gap) each; gaps .6 and .4, then .4 and .2 under the penalty.
    made = taught("squarecb", steady(900))
    free, dear = (1 / probs(made, of)[1:] for of in (np.zeros(3), np.array([0.2, 0.0, 0.0])))
    assert (free - 3) / (free[1] - 3) == pytest.approx([0.6 / 0.4, 1.0], rel=0.03)
    assert (dear - 3) / (free - 3) == pytest.approx([0.4 / 0.6, 0.2 / 0.4], rel=0.03)


def test_each_member_of_a_bag_votes_under_the_penalty() -> None:
    made = taught("bag", mixed(60))
    votes = [probs(made, np.array([penalty, 0.0, 0.2])) for penalty in np.linspace(-2.0, 2.0, 81)]
    assert all(np.isin(shares.round(6), [0.0, 0.25, 0.5, 0.75, 1.0]).all() for shares in votes)  # of four
    ours = [shares[0] for shares in votes]
    assert ours == sorted(ours, reverse=True)
    assert (ours[0], ours[-1]) == (1.0, 0.0)
    assert len(set(ours)) > 2  # they do not all turn at the same penalty


@every_exploration
def test_goes_on_after_a_restart_as_if_there_had_been_none(exploration: str) -> None:
    made, again = taught(exploration, mixed(130), rounds=50), policy(exploration, rounds=50)
    again.restore(made.state())
    assert everywhere(again) == everywhere(made)
    for one in (made, again):
        one.learn(mixed(90, seed=1))
    assert again.state() == made.state()
    assert everywhere(again) == everywhere(made)


@every_exploration
def test_how_often_it_is_asked_leaves_no_trace(exploration: str) -> None:
    asked, silent = policy(exploration, rounds=20), policy(exploration, rounds=20)
    for change in mixed(70):
        for one in (asked, silent):
            one.learn([change])
        probs(asked, np.array([0.3, 0.0, 0.1]), change.features)
    assert asked.state() == silent.state()
    assert everywhere(asked) == everywhere(silent)


@every_exploration
def test_flips_leave_what_only_saw_the_final_values(exploration: str) -> None:
    heard = mixed(150)
    final = [*heard[:105], *(said(one.arm, one.features, float(one.arm == "b"), at=one.at) for one in heard[105:])]
    flips = [RewardChange(old.arm, old.features, 0.0, new.weighted - old.weighted, new.squared - old.squared, old.at)
             for old, new in zip(heard[105:], final[105:], strict=True)]  # fmt: skip
    flipped = taught(exploration, heard, rounds=50)
    before = everywhere(flipped)
    flipped.learn(flips)
    assert everywhere(flipped) == everywhere(taught(exploration, final, rounds=50))
    assert everywhere(flipped) != before


def test_a_round_taken_back_leaves_what_never_saw_it() -> None:
    heard = mixed(60)
    back = RewardChange(heard[30].arm, heard[30].features, -1.0, -heard[30].weighted, -heard[30].squared, heard[30].at)
    erased = taught("squarecb", [*heard, back])
    never = taught("squarecb", [*heard[:30], *heard[31:]])
    assert erased.state() == never.state()
    assert everywhere(erased) == everywhere(never)


def test_what_is_not_held_any_more_stays_as_it_was_learned() -> None:
    heard = mixed(40)
    made = taught("squarecb", heard, rounds=10)
    before = made.state()
    made.learn([RewardChange(one.arm, one.features, -1.0, -one.weighted, -one.squared, one.at) for one in heard[:25]])
    assert made.state() == before


def test_holds_at_most_twice_the_rounds() -> None:
    made, held = policy(rounds=10), []
    for change in mixed(45):
        made.learn([change])
        held.append(len(made._held))
    assert held == [*range(1, 20), *([*range(10, 20)] * 3)][:45]


def test_learns_a_different_best_arm_for_each_kind_of_query() -> None:
    made, rng = policy(), np.random.default_rng(0)
    for t in range(1500):
        x = np.array([rng.choice([-1.0, 1.0]), 1.0])
        arm = int(rng.integers(3))
        value = float(rng.random() < (0.9 if arm == (x[0] > 0) else 0.2))
        made.learn([said(ARMS[arm], x, value, at=t + 1)])
    for side, best in ((-1.0, 0), (1.0, 1)):
        assert probs(made, np.zeros(3), np.array([side, 1.0])).argmax() == best


@pytest.mark.parametrize("exploration", ["squarecb", "cover", "bag"])
def test_no_arm_learns_what_another_was_taught(exploration: str) -> None:
    # As many models as lie side by side, and as many arms as there is room for: nothing wraps around.
    model = new_model(EXPLORATIONS[exploration], d=30)
    made = VwWorkspace(model, d=30, penalised=None)
    weights: Any = made._workspace.weights()
    room = weights[: len(weights) // weights.shape[1]]
    for place in range(0, MOST_ARMS, 9):
        before = room.copy()
        made.learn(np.full(30, 0.2), place, cost=1.0, weight=1.0)
        taught_to = np.flatnonzero((room != before).any(axis=(1, 2)))
        assert set(taught_to) <= set(range(place * 31, place * 31 + 30))
        assert len(taught_to) > 0 or exploration == "bag"  # a member may draw zero


def test_an_arm_too_many_is_refused() -> None:
    made = VowpalWabbit(d=2)
    for n in range(MOST_ARMS):
        made.add_arm(str(n))
    with pytest.raises(ValueError, match=f"{MOST_ARMS} arms are the most"):
        made.add_arm("more")


@pytest.mark.parametrize("damage", ["model", "weight", "rounds", "arms"])
def test_a_snapshot_of_what_cannot_be_is_refused_and_changes_nothing(damage: str) -> None:
    made = taught("squarecb", mixed(30))
    before, probabilities = made.state(), everywhere(made)
    header, arrays = snapshot.unpack(before)
    if damage == "model":
        arrays["model"] = arrays["model"][:40]
    elif damage == "weight":
        workspace = vw.Workspace(["--quiet"], model_data=arrays["model"].tobytes())
        workspace.weights()[1, 0, 0] = np.nan
        arrays["model"] = np.frombuffer(workspace.serialize(), dtype=np.uint8)
    elif damage == "rounds":
        arrays["rounds"][0, 0] = 7
    else:
        header["arms"] = ["a", "a", "b"]
    with pytest.raises(SnapshotError):
        made.restore(snapshot.pack(header, arrays))
    assert made.state() == before
    assert everywhere(made) == probabilities


def test_another_exploration_is_another_policy() -> None:
    with pytest.raises(SnapshotError, match="snapshot is of"):
        policy("bag").restore(policy("softmax").state())


def test_an_argument_tunes_the_exploration() -> None:
    heard = steady(300)
    bold, careful = (taught("squarecb", heard, arguments=["--gamma_scale", gamma]) for gamma in ("1", "1000"))
    assert probs(bold, np.zeros(3))[0] < probs(careful, np.zeros(3))[0]


@pytest.mark.parametrize("argument", sorted(TUNING - {"--elim", "--nounif", "--first_only", "--greedify"}))
def test_whatever_is_tuned_penalties_are_exact_and_asking_leaves_no_trace(argument: str) -> None:
    number = {"--gamma_exponent": "0.3", "--cb_min_cost": "0", "--lambda": "5"}.get(argument, "0.7")
    asked, silent = (policy("softmax", arguments=[argument, number]) for _ in range(2))
    for change in mixed(200):
        for one in (asked, silent):
            one.learn([change])
        probs(asked, np.array([0.3, 0.0, 0.1]))
    assert everywhere(asked) == everywhere(silent)
    assert probs(asked, np.full(3, 0.4)) == pytest.approx(probs(asked, np.zeros(3)), abs=1e-5)


def test_an_unknown_exploration_and_arguments_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="exploration must be one of squarecb, cover"):
        VowpalWabbit(d=2, exploration="guess")
    for argument in ("--no_such_thing", "--l2", "-q", "--interactions=ff", "--invariant"):
        with pytest.raises(ValueError, match=f"argument {argument.split('=')[0]} cannot be given"):
            VowpalWabbit(d=2, arguments=[argument])
    with pytest.raises(ValueError, match="Vowpal Wabbit refuses --squarecb --gamma_scale much"):
        VowpalWabbit(d=2, arguments=["--gamma_scale", "much"])
    with pytest.raises(ValueError, match="rounds must be a number >= 1, got 0"):
        VowpalWabbit(d=2, rounds=0)
