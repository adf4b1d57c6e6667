"""What the policies that are no disjoint linear regressions learn, on worlds whose truth is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from highwayman.bandit import snapshot
from highwayman.bandit.draw import draw
from highwayman.bandit.models.k_means import k_means_centres, nearest
from highwayman.bandit.policies.cluster_ucb import ClusterUCB
from highwayman.bandit.policies.hybrid_lin_ucb import HybridLinUCB
from highwayman.bandit.policies.k_nearest import KNearest
from highwayman.bandit.policies.lin_ucb import LinUCB
from highwayman.bandit.policy import Policy
from highwayman.bandit.regression.hier_posterior import HierPrior
from highwayman.bandit.regression.hybrid_posterior import HybridPosterior
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

ARMS = ("a", "b")


def change(arm: str, x: Floats, value: float, weight: float = 1.0) -> RewardChange:
    return RewardChange(arm, x, weight, weight * value, weight * value**2)


def added(policy: Policy, arms: tuple[str, ...] = ARMS) -> Policy:
    for arm in arms:
        policy.add_arm(arm)
    return policy


def late_quality(policy: Policy, world: Callable[[Floats], Floats], *, n: int = 3000, d: int = 3) -> float:
    """Return the mean quality of the arms drawn in the last third of n rounds, while the policy learns."""
    rng, got = np.random.default_rng(0), []
    for _ in range(n):
        x = np.append(rng.uniform(-1, 1, d - 1), 1.0)
        quality = world(x)
        drawn = draw(policy.probs(Context(x, "", 1), ARMS, np.zeros(2)), floor=0.05, rng=rng)
        got.append(quality[drawn.action])
        policy.learn([change(ARMS[drawn.action], x, float(rng.random() < got[-1]))])
    return float(np.mean(got[-n // 3 :]))


def checkers(x: Floats) -> Floats:
    """Return qualities that no line parts: a is good where both coordinates have one sign, b elsewhere."""
    return np.array([0.9, 0.1]) if x[0] * x[1] > 0 else np.array([0.1, 0.9])


def test_neighbours_and_clusters_learn_what_no_line_can_part() -> None:
    assert late_quality(added(LinUCB(d=3)), checkers) < 0.6
    assert late_quality(added(KNearest(d=3, k=20)), checkers) > 0.8
    assert late_quality(added(ClusterUCB(d=3, clusters=16, warm_up=300)), checkers) > 0.75


def test_centres_are_those_of_well_parted_clouds_and_the_same_every_time() -> None:
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.normal(at, 0.1, (50, 2)) for at in ((0, 0), (5, 0), (0, 5))])
    centres = k_means_centres(points, 3)
    assert sorted(np.round(centres).tolist()) == [[0, 0], [0, 5], [5, 0]]
    assert np.array_equal(centres, k_means_centres(points, 3))
    assert np.bincount(nearest(points, centres)).tolist() == [50, 50, 50]
    assert len(k_means_centres(np.ones((9, 2)), 4)) == 1


@pytest.mark.parametrize("make", [lambda: ClusterUCB(d=2, warm_up=10), lambda: ClusterUCB(d=2, warm_up=500),
                                  lambda: KNearest(d=2, k=50)])  # fmt: skip
def test_a_round_that_is_flipped_or_taken_back_leaves_what_only_saw_the_end(make: Callable[[], Any]) -> None:
    rng = np.random.default_rng(2)
    rounds = [change(ARMS[n % 2], np.append(rng.normal(), 1.0), float(rng.integers(2))) for n in range(40)]
    flip = rounds[6]
    revised = added(make())
    revised.learn(rounds)
    revised.learn([RewardChange(flip.arm, flip.features, 0.0, 1 - 2 * flip.weighted, 1 - 2 * flip.weighted)])
    gone = rounds[9]
    revised.learn([RewardChange(gone.arm, gone.features, -1.0, -gone.weighted, -gone.squared)])
    final = added(make())
    ends = [*rounds[:6], change(flip.arm, flip.features, 1 - flip.weighted), *rounds[7:9], *rounds[10:]]
    if make().__class__ is ClusterUCB:  # the context of what is taken back still helps to say what kinds there are
        ends = [*rounds[:6], change(flip.arm, flip.features, 1 - flip.weighted), *rounds[7:], *rounds[9:10]]
        ends[-1] = RewardChange(gone.arm, gone.features, -1.0, -gone.weighted, -gone.squared)
    final.learn(ends)
    for _ in range(20):
        x = Context(np.append(rng.normal(), 1.0), "", 1)
        assert revised.expected_quality(x, ARMS) == pytest.approx(final.expected_quality(x, ARMS), abs=1e-9)


def test_an_arms_mean_is_that_of_its_nearest_rounds_and_of_what_was_believed_by_their_weight() -> None:
    made = added(KNearest(d=1, k=2, alpha=0.0, prior_mean=0.5, prior_weight=2.0))
    made.learn([change("a", np.array([at]), value, weight) for at, value, weight in
                ((0.0, 1.0, 1.0), (3.0, 0.0, 4.0), (1.0, 1.0, 2.0), (-2.0, 0.0, 8.0))])  # fmt: skip
    for at, mean in ((0.4, (0.5 * 2 + 1 + 2) / 5), (2.5, (0.5 * 2 + 2) / 8), (-1.5, (0.5 * 2 + 1) / 11)):
        expected = made.expected_quality(Context(np.array([at]), "", 1), ARMS)
        assert expected == pytest.approx([mean, 0.5])


def test_a_bound_is_wider_by_the_root_of_how_little_is_near_and_ties_are_shared() -> None:
    x, free = Context(np.ones(1), "", 1), np.zeros(2)
    made = added(KNearest(d=1, alpha=0.3, prior_mean=0.5, prior_weight=4.0))
    assert made.probs(x, ARMS, free).tolist() == [0.5, 0.5]
    made.learn([change("a", np.ones(1), 0.5)] * 5)  # bounds of .5 + .3 / 3 and .5 + .3 / 2
    for penalty, chosen in ((0.049, "b"), (0.051, "a")):
        assert made.probs(x, ARMS, np.array([0.0, penalty])).tolist() == [float(arm == chosen) for arm in ARMS]


def test_of_each_arm_the_newest_rounds_are_held_and_come_back_from_a_snapshot() -> None:
    x = Context(np.ones(1), "", 1)
    made = added(KNearest(d=1, rounds=3, prior_mean=0.0, prior_weight=1.0))
    made.learn([change("a", np.ones(1), value) for value in (1.0, 1.0, 1.0, 0.5, 0.0)])
    made.learn([change("b", np.ones(1), 0.5)])
    assert made.expected_quality(x, ARMS) == pytest.approx([1.5 / 4, 0.5 / 2])
    back = KNearest(d=1, rounds=3, prior_mean=0.0, prior_weight=1.0)
    back.restore(made.state())
    for policy in (made, back):
        policy.learn([change("a", np.ones(1), 0.0), change("b", np.ones(1), 1.0)])  # one more of a's falls out
        assert policy.expected_quality(x, ARMS) == pytest.approx([0.5 / 4, 1.5 / 3])


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_with_room_for_more_or_fewer_rounds_the_newest_of_those_held_come_back(rounds: int, count: int) -> None:
    x = Context(np.ones(1), "", 1)
    made = added(KNearest(d=1, rounds=3))
    values = [0.1 * n for n in range(count)]
    made.learn([change("a", np.ones(1), value) for value in values])
    back = KNearest(d=1, rounds=rounds, prior_mean=0.0, prior_weight=1.0)
    back.restore(made.state())
    kept = values[-min(3, rounds) :]
    assert back.expected_quality(x, ["a"]) == pytest.approx([sum(kept) / (1 + len(kept))])
    back.learn([change("a", np.ones(1), 1.0)])
    kept = [*kept, 1.0][-rounds:]
    assert back.expected_quality(x, ["a"]) == pytest.approx([sum(kept) / (1 + len(kept))])
    assert back.expected_quality(x, ["b"]) == pytest.approx([0.0])


def test_an_erasure_of_more_than_any_round_weighs_takes_several_and_leaves_the_rest() -> None:
    x, asked = np.ones(1), Context(np.ones(1), "", 1)
    made = added(KNearest(d=1, prior_mean=0.0, prior_weight=1.0))
    made.learn([change("a", x, 1.0), change("a", x, 0.0), change("a", x, 0.5)])
    made.learn([RewardChange("a", x, -2.0, -1.0, -1.0)])
    assert made.expected_quality(asked, ["a"]) == pytest.approx([0.5 / 2])


def test_a_change_goes_to_the_round_that_it_can_have_been_said_of() -> None:
    x, far = np.ones(1), np.array([5.0])
    made = added(KNearest(d=1, k=1, prior_mean=0.0, prior_weight=1.0))
    made.learn([change("a", x, 0.0), change("a", x, 1.0), change("a", far, 1.0)])
    made.learn([RewardChange("a", x, 0.0, -1.0, -1.0), RewardChange("a", x, 0.0, 1.0, 1.0)])
    made.learn([RewardChange("a", x, -1.0, 0.0, 0.0)])  # of the two, the one that was not liked
    assert made.expected_quality(Context(x, "", 1), ["a"]) == pytest.approx([0.5])


def test_what_does_not_fit_is_refused_and_named() -> None:
    made = added(KNearest(d=2, fingerprint="f"))
    with pytest.raises(ValueError, match=r"alpha must be a number >= 0, got -0\.1"):
        KNearest(d=2, alpha=-0.1)
    with pytest.raises(ValueError, match=r"features must have shape \(2,\), got \(3,\)"):
        made.learn([change("a", np.ones(3), 1.0)])
    with pytest.raises(ValueError, match="unknown arm 'z'; known are a, b"):
        made.learn([change("z", np.ones(2), 1.0)])
    made.learn([change("a", np.ones(2), 1.0)])
    header, arrays = snapshot.unpack(made.state())
    for damaged in (
        snapshot.pack({**header, "fingerprint": "g"}, arrays),
        snapshot.pack({**header, "next": 3}, arrays),
        snapshot.pack({**header, "arms": ["a", "a"]}, arrays),
        snapshot.pack({**header, "next": [2, 0]}, arrays),
        snapshot.pack({**header, "rounds": 0}, arrays),
        snapshot.pack(header, {}),
    ):
        with pytest.raises(SnapshotError, match="snapshot"):
            added(KNearest(d=2, fingerprint="f")).restore(damaged)


def test_an_erasure_of_all_that_was_said_of_a_round_is_not_lost_on_neighbours() -> None:
    x, far = np.array([0.0, 1.0]), np.array([9.0, 1.0])
    made, never = added(KNearest(d=2, k=3)), added(KNearest(d=2, k=3))
    for policy in (made, never):
        policy.learn([change("a", far, 1.0)] * 3)
    made.learn([change("a", x, 0.0), change("a", x, 0.5), RewardChange("a", x, -2.0, -0.5, -0.25)])
    assert made.expected_quality(Context(x, "", 1), ["a"]) == never.expected_quality(Context(x, "", 1), ["a"])


def test_an_erased_round_is_nobodys_neighbour_any_more() -> None:
    x, near = np.array([0.0, 1.0]), np.array([1.0, 1.0])
    made = added(KNearest(d=2, k=1, prior_weight=1e-6))
    made.learn([change("a", near, 1.0), change("a", x, 0.0), RewardChange("a", x, -1.0, 0.0, 0.0)])
    assert made.expected_quality(Context(x, "", 1), ["a"]) == pytest.approx([1.0], abs=1e-5)


def test_where_one_round_has_the_weight_that_is_taken_back_the_others_stay_as_old_as_they_are() -> None:
    x = np.ones(1)
    made = added(KNearest(d=1, rounds=2, prior_mean=0.0, prior_weight=1.0))
    made.learn([RewardChange("a", x, 0.25, 0.25, 0.25), change("a", x, 0.0), RewardChange("a", x, -1.0, 0.0, 0.0)])
    assert made.expected_quality(Context(x, "", 1), ["a"]) == pytest.approx([0.2])
    made.learn([change("a", np.full(1, 9.0), 0.0)])  # two were held: the older one is forgotten
    assert made.expected_quality(Context(x, "", 1), ["a"]) == [0.0]


def test_an_erasure_of_more_than_is_still_held_leaves_nothing_of_it() -> None:
    x = np.array([0.0, 1.0])
    made = added(KNearest(d=2, rounds=2))
    made.learn([change("a", x, 1.0), change("a", x, 1.0), change("a", np.array([9.0, 1.0]), 1.0)])
    made.learn([RewardChange("a", x, -2.0, -2.0, -2.0)])
    fresh = added(KNearest(d=2, rounds=2))
    fresh.learn([change("a", np.array([9.0, 1.0]), 1.0)])
    assert made.expected_quality(Context(x, "", 1), ["a"]) == fresh.expected_quality(Context(x, "", 1), ["a"])


@pytest.mark.parametrize("warm_up", [500, 10])
def test_what_was_said_of_an_arm_is_counted_once_whether_or_not_there_are_clusters_yet(warm_up: int) -> None:
    one = np.ones(1)
    made = added(ClusterUCB(d=1, warm_up=warm_up, alpha=1.0))
    made.learn([change("a", one, 1.0)] * 10)
    means, spreads = made._beliefs(one[None], ["a"])
    assert means[0, 0] == pytest.approx(10.6 / 11 if warm_up > 10 else (10 + 20 * 10.6 / 11) / 30)
    assert spreads[0, 0] == pytest.approx(1 / np.sqrt(11))


def test_hybrid_means_are_those_of_one_joint_regression() -> None:
    rng, d, arms = np.random.default_rng(3), 3, ("a", "b", "c")
    like = {"a": [1.0], "b": [0.5], "c": [-1.0]}
    made = HybridPosterior(
        d=d, prior=HierPrior(early_precision=4.0, final_precision=4.0, shared_precision=2.0), arm_features=like
    )
    for arm in arms:
        made.add_arm(arm)
    told = [(arms[n % 3], np.append(rng.normal(size=d - 1), 1.0), float(rng.random())) for n in range(50)]
    made.update(change(arm, x, value) for arm, x, value in told)
    made.recompute()
    size = 2 * d + 3 * d  # beta for f = (1, arm's feature), then each arm's own part
    a = np.diag([2.0, 2.0, 1.0] * 2 + [4.0, 4.0, 1.0] * 3)
    b = np.zeros(size)
    b[d - 1] = 0.6 * 1.0
    rows = {}
    for arm, x, value in told:
        row = np.zeros(size)
        row[: 2 * d] = np.kron([1.0, *like[arm]], x)
        place = 2 * d + arms.index(arm) * d
        row[place : place + d] = x
        a, b = a + np.outer(row, row), b + value * row
    x = np.array([0.3, -0.8, 1.0])
    for place, arm in enumerate(arms):
        row = np.zeros(size)
        row[: 2 * d] = np.kron([1.0, *like[arm]], x)
        row[2 * d + place * d : 2 * d + (place + 1) * d] = x
        rows[arm] = row
    means, spreads = made.mean_and_std(x, arms)
    assert means == pytest.approx([rows[arm] @ np.linalg.solve(a, b) for arm in arms], abs=1e-9)
    wanted = [np.sqrt(rows[arm] @ np.linalg.solve(a, rows[arm])) for arm in arms]
    assert spreads == pytest.approx(wanted, abs=1e-9)


def test_a_new_arm_starts_at_what_arms_like_it_have_shown() -> None:
    like = {"small-1": [-1.0], "small-2": [-1.0], "large-1": [1.0], "large-2": [1.0]}
    policy = HybridLinUCB(d=1, arm_features=like)
    for arm in ("small-1", "large-1"):
        policy.add_arm(arm)
    one = np.ones(1)
    policy.learn([change("small-1", one, 0.3)] * 100 + [change("large-1", one, 0.9)] * 100)
    for arm in ("small-2", "large-2"):
        policy.add_arm(arm)
    expected = policy.expected_quality(Context(one, "", 1), ["small-2", "large-2"])
    assert expected[0] < 0.5
    assert expected[1] > 0.7
    spreads = policy.posterior.mean_and_std(one, ["large-1", "large-2"])[1]
    assert spreads[1] > 2 * spreads[0]


def test_options_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="k must be a number > 0, got 0"):
        KNearest(d=2, k=0)
    with pytest.raises(ValueError, match="clusters must be a number > 0, got 0"):
        ClusterUCB(d=2, clusters=0)
    with pytest.raises(ValueError, match=r"arm_features must be equally many for each arm, got \[1, 2\]"):
        HybridLinUCB(d=2, arm_features={"a": [1.0], "b": [1.0, 2.0]})
