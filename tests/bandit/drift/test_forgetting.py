from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit import snapshot
from highwayman.bandit.draw import draw
from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.policies.lin_ucb import LinUCB
from highwayman.bandit.regression.hier_posterior import HierPosterior
from highwayman.bandit.regression.linear_posterior import LinearPosterior
from highwayman.bandit.regression.prior import Prior
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

HOUR_S = 3600.0
START_S = 1_700_000_000.0


def thumb(value: float, *, at: float = 0.0, weight: float = 1.0, arm: str = "a") -> RewardChange:
    return RewardChange(arm, np.ones(1), weight, weight * value, weight * value**2, at)


def posterior(*changes: RewardChange, **half_life: float) -> HierPosterior:
    made = HierPosterior(d=1, forgetting=Forgetting(**half_life))
    made.add_arm("a")
    made.update(changes)
    made.recompute()
    return made


def traffic(n: int, *, seed: int) -> list[RewardChange]:
    """Return n rounds of two arms that come in bursts, never evenly, d = 3."""
    rng = np.random.default_rng(seed)
    at = START_S + np.cumsum(rng.exponential(30.0, n) * (1.0 + 9.0 * (np.sin(np.arange(n) / 50) > 0)))
    x = np.column_stack([0.1 * rng.normal(size=(n, 2)), np.ones(n)])
    thumbs = (rng.random(n) < 0.7).astype(float)
    arms = ["ab"[k] for k in rng.integers(2, size=n)]
    rows = zip(arms, x, thumbs.tolist(), at.tolist(), strict=True)
    return [RewardChange(arm, row, 1.0, value, value, when) for arm, row, value, when in rows]


def back(change: RewardChange) -> RewardChange:
    """Return what takes a round back."""
    return RewardChange(change.arm, change.features, -1.0, -change.weighted, -change.squared, change.at)


def told(kind: Any, changes: list[RewardChange], **half_life: float) -> Any:
    made = kind(d=3, forgetting=Forgetting(**half_life))
    for arm in "ab":
        made.add_arm(arm)
    made.update(changes)
    made.recompute()
    return made


def sums(of: Any) -> dict[str, Floats]:
    """Return all that is kept of what was said."""
    return {name: array for name, array in snapshot.unpack(of.state())[1].items() if name != "marks"}


def same_sums(one: Any, other: Any) -> bool:
    found, wanted = sums(one), sums(other)
    near = (np.allclose(found[name], wanted[name], rtol=0, atol=1e-9) for name in wanted)
    return found.keys() == wanted.keys() and all(near)


both_kinds = pytest.mark.parametrize("kind", [LinearPosterior, HierPosterior])
both_clocks = pytest.mark.parametrize("half_life", [{"events": 200.0}, {"hours": 3.0}])


@both_kinds
@both_clocks
@given(seed=st.integers(0, 1000), at=st.integers(0, 299), final=st.sampled_from([0.0, 0.25, 1.0]))
@settings(max_examples=10, deadline=None)
def test_a_flip_in_uneven_traffic_leaves_the_sums_that_only_ever_saw_the_final_value(
    kind: Any, half_life: dict[str, float], seed: int, at: int, final: float
) -> None:
    changes = traffic(300, seed=seed)
    first = changes[at]
    flip = RewardChange(first.arm, first.features, 0.0, final - first.weighted, final**2 - first.squared, first.at)
    flipped = told(kind, [*changes, flip], **half_life)
    changes[at] = RewardChange(first.arm, first.features, 1.0, final, final**2, first.at)
    assert same_sums(flipped, told(kind, changes, **half_life))


@both_kinds
@both_clocks
@given(seed=st.integers(0, 1000), at=st.integers(0, 299))
@settings(max_examples=10, deadline=None)
def test_nothing_is_left_of_an_erased_round_and_the_snapshot_can_be_read(
    kind: Any, half_life: dict[str, float], seed: int, at: int
) -> None:
    changes = [
        RewardChange(one.arm, one.features * [1.0, 0.0, 1.0], 1.0, one.weighted, one.squared, one.at)
        for one in traffic(300, seed=seed)
    ]
    odd = RewardChange("a", np.array([0.5, 9.0, 1.0]), 1.0, 1.0, 1.0, changes[at].at)  # alone in the second feature
    made = told(kind, [*changes[:at], odd, *changes[at:], back(odd)], **half_life)
    for name in ("a", "twice"):
        assert np.abs(sums(made).get(name, np.zeros((2, 3, 3)))[:, 1]).max() < 1e-9
    again = told(kind, [], **half_life)
    again.restore(made.state())
    assert again.state() == made.state()


@both_kinds
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_under_a_half_life_in_hours_it_does_not_matter_when_labels_come(kind: Any, seed: int) -> None:
    changes = traffic(200, seed=seed)
    mixed = [changes[place] for place in np.random.default_rng(seed).permutation(200)]
    assert same_sums(told(kind, mixed, hours=3.0), told(kind, changes, hours=3.0))


@given(seed=st.integers(0, 1000), age=st.integers(1, 600))
@settings(max_examples=20, deadline=None)
def test_counted_in_rounds_a_late_label_weighs_what_its_round_would_to_within_a_thirtieth(seed: int, age: int) -> None:
    fading, changes = Forgetting(events=100.0), traffic(1000, seed=seed)
    for change in changes:
        fading.weight(change.at, new=True)
    newest = fading.weight(changes[-1].at, new=False)
    share = fading.weight(changes[-1 - age].at, new=False) / newest
    assert share == pytest.approx(2.0 ** (-age / 100), rel=1 / 30)


@both_kinds
def test_after_a_pause_of_thousands_of_half_lives_only_what_is_new_counts(kind: Any) -> None:
    old, new = traffic(50, seed=0), traffic(50, seed=1)
    later = [RewardChange(one.arm, one.features, 1.0, one.weighted, one.squared, one.at + 5000 * HOUR_S) for one in new]
    assert same_sums(told(kind, [*old, *later], hours=1.0), told(kind, later, hours=1.0))


@both_kinds
@both_clocks
def test_a_restored_posterior_goes_on_as_the_one_it_came_from(kind: Any, half_life: dict[str, float]) -> None:
    changes = traffic(700, seed=3)
    one = told(kind, changes[:613], **half_life)
    other = kind(d=3, forgetting=Forgetting(**half_life))
    other.restore(one.state())
    for each in (one, other):
        each.update([*changes[613:], back(changes[100])])
    assert one.state() == other.state()
    for found, wanted in zip(one.mean_and_std(np.ones(3), "ab"), other.mean_and_std(np.ones(3), "ab"), strict=True):
        assert found == pytest.approx(wanted, abs=1e-12)


def test_lent_and_prior_evidence_are_as_sure_under_a_half_life_as_without_as_long_as_nothing_fades() -> None:
    x, changes = np.array([0.1, 0.1, 1.0]), [RewardChange(one.arm, one.features, 1.0, 1.0, 1.0)
                                             for one in traffic(100, seed=0)]  # fmt: skip
    rewards = np.random.default_rng(0).random((40, 1))
    prior = Prior.fit(np.array([one.features for one in changes[:40]]), rewards, arms=["c"], weight=20.0,
                         fingerprint="")  # fmt: skip
    spreads = []
    for fading in (None, Forgetting(events=1e9)):
        made = LinearPosterior(d=3, forgetting=fading)
        for arm in "ab":
            made.add_arm(arm)
        made.apply_prior(prior)
        made.update(changes)
        made.warm_start("a", "new", weight=20.0)
        spreads.append(made.mean_and_std(x, ["a", "c", "new"])[1])
    assert spreads[1] == pytest.approx(spreads[0], rel=1e-6)
    assert spreads[0][2] > 1.2 * spreads[0][0]


def test_what_cannot_be_learned_moves_no_clock() -> None:
    made = told(LinearPosterior, traffic(10, seed=0), events=10.0)
    state = made.state()
    for arm, x in (("a", np.ones(2)), ("z", np.ones(3))):
        with pytest.raises(ValueError, match=r"features must have shape|unknown arm 'z'"):
            made.update([RewardChange(arm, x, 1.0, 1.0, 1.0, START_S + 1e6)])
    assert made.state() == state


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (np.zeros((2, 3)), "shapes"),
        (-np.eye(3)[None].repeat(2, axis=0), "not positive semidefinite"),
        (np.triu(np.ones((3, 3)))[None].repeat(2, axis=0), "not symmetric"),
    ],
)
def test_damaged_sums_of_squared_weights_are_refused(damage: Floats, message: str) -> None:
    made = told(LinearPosterior, traffic(30, seed=0), events=10.0)
    state = made.state()
    header, arrays = snapshot.unpack(state)
    with pytest.raises(SnapshotError, match=message):
        made.restore(snapshot.pack(header, {**arrays, "twice": damage}))
    assert made.state() == state


def test_what_was_learned_without_a_half_life_is_taken_over_and_fades_from_then_on() -> None:
    changes = traffic(100, seed=0)
    forever = LinearPosterior(d=3)
    for arm in "ab":
        forever.add_arm(arm)
    forever.update(changes)
    made = LinearPosterior(d=3, forgetting=Forgetting(events=50.0))
    made.restore(forever.state())
    assert made.mean_and_std(np.ones(3), "ab")[1] == pytest.approx(forever.mean_and_std(np.ones(3), "ab")[1], abs=1e-12)
    made.update(RewardChange("a", np.ones(3), 1.0, 1.0, 1.0) for _ in range(50))
    made.recompute()
    assert made.weight_of("b") == pytest.approx(forever.weight_of("b") / 2)


def test_a_round_a_half_life_ago_weighs_half_and_two_ago_a_quarter() -> None:
    changes = [thumb(1.0, at=START_S + hours * HOUR_S) for hours in (0.0, 24.0, 48.0)]
    assert posterior(*changes, hours=24.0).total_weight() == pytest.approx(0.25 + 0.5 + 1.0)


def test_counted_in_rounds_the_weight_is_a_geometric_series() -> None:
    changes = [thumb(1.0, at=START_S + n) for n in range(40)]
    wanted = sum(2.0 ** (-age / 10) for age in range(40))
    assert posterior(*changes, events=10.0).total_weight() == pytest.approx(wanted)


def test_the_prior_never_fades() -> None:
    long_ago = posterior(thumb(0.0, at=START_S), thumb(0.0, at=START_S + 1000 * HOUR_S), hours=1.0)
    long_ago.update([thumb(0.0, at=START_S + 1000 * HOUR_S, weight=-1.0)])  # nothing recent stands
    long_ago.recompute()
    assert long_ago.mean_and_std(np.ones(1), ["a"])[0] == pytest.approx([0.6], abs=1e-9)


@pytest.mark.parametrize("half_life", [{"hours": 5.0}, {"events": 5.0}])
def test_a_late_label_weighs_what_its_round_would_weigh_by_now(half_life: dict[str, float]) -> None:
    others = [thumb(1.0, at=START_S + n * HOUR_S) for n in range(20)]
    in_time = posterior(*others[:8], thumb(0.0, at=START_S + 7.5 * HOUR_S), *others[8:], **half_life)
    late = posterior(*others, thumb(0.0, at=START_S + 7.5 * HOUR_S), **half_life)
    assert late.mean_and_std(np.ones(1), ["a"])[0] == pytest.approx(
        in_time.mean_and_std(np.ones(1), ["a"])[0], abs=0.01
    )
    now = posterior(*others, thumb(0.0, at=START_S + 19.5 * HOUR_S), **half_life)
    assert now.mean_and_std(np.ones(1), ["a"])[0] < late.mean_and_std(np.ones(1), ["a"])[0] - 0.05


@given(st.integers(0, 29), st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
@settings(max_examples=30)
def test_a_flip_under_a_half_life_leaves_what_only_ever_saw_the_final_value(at: int, final: float, hours: bool) -> None:
    half_life = {"hours": 7.0} if hours else {"events": 7.0}
    rng = np.random.default_rng(1)
    values = rng.random(30)
    rounds = [thumb(float(value), at=START_S + n * HOUR_S) for n, value in enumerate(values)]
    flip = RewardChange("a", np.ones(1), 0.0, final - values[at], final**2 - values[at] ** 2, rounds[at].at)
    flipped = posterior(*rounds, flip, **half_life)
    rounds[at] = thumb(final, at=rounds[at].at)
    only = posterior(*rounds, **half_life)
    for one, other in zip(flipped.mean_and_std(np.ones(1), ["a"]), only.mean_and_std(np.ones(1), ["a"]), strict=True):
        assert one == pytest.approx(other, abs=1e-9)
    assert flipped.noise_variance() == pytest.approx(only.noise_variance(), abs=1e-9)


def test_erasing_a_round_under_a_half_life_in_hours_equals_never_having_seen_it() -> None:
    rounds = [thumb(float(n % 2), at=START_S + n * HOUR_S) for n in range(30)]
    erased = posterior(*rounds, thumb(0.0, at=rounds[10].at, weight=-1.0), hours=7.0)
    never = posterior(*rounds[:10], *rounds[11:], hours=7.0)
    assert erased.mean_and_std(np.ones(1), ["a"])[0] == pytest.approx(
        never.mean_and_std(np.ones(1), ["a"])[0], abs=1e-9
    )


def test_the_clock_survives_its_state_and_damage_is_refused() -> None:
    fading = Forgetting(events=1000.0)
    for n in range(100_000):
        fading.weight(START_S + n, new=True)
    again = Forgetting(events=1000.0)
    again.restore(fading.state())
    assert again.weight(START_S + 98_000.0, new=False) == fading.weight(START_S + 98_000.0, new=False)
    assert len(fading.state()["marks"]) < 1000
    for damage in (
        {},
        {"now": 0.0, "base": 1.0, "marks": []},
        {"now": 1.0, "base": 0.0, "marks": [[2, 0], [1, 0]]},
        {"now": 1.0, "base": 0.0, "marks": [[1, 0], [2, 5]]},
        {"now": float("inf"), "base": 0.0, "marks": []},
        {"now": float("nan"), "base": 0.0, "marks": []},
    ):
        with pytest.raises(ValueError, match="clock"):
            again.restore(damage)
    assert again.state() == fading.state()


def test_a_clock_that_counted_in_the_other_unit_begins_anew() -> None:
    rounds, hours = Forgetting(events=10.0), Forgetting(hours=10.0)
    for n in range(100):
        rounds.weight(START_S + n, new=True)
    hours.restore(rounds.state())
    assert hours.weight(START_S, new=True) == 1.0
    assert not hours.due()


@pytest.mark.parametrize("options", [{}, {"events": 1.0, "hours": 1.0}, {"events": 0.0}, {"hours": float("inf")}])
def test_a_half_life_that_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="half_life"):
        Forgetting(**options)


@pytest.mark.parametrize("n", [1, 7, 60])
def test_linear_regressions_that_fade_have_the_two_matrices_of_d_lin_ucb(n: int) -> None:
    gamma, rng = 2.0 ** (-1 / 20), np.random.default_rng(n)
    x, rewards = rng.normal(size=(n, 3)), rng.random(n)
    made = LinearPosterior(d=3, forgetting=Forgetting(events=20.0), prior_precision=2.0, intercept_precision=1.5)
    made.add_arm("a")
    made.update(RewardChange("a", row, 1.0, reward, reward**2) for row, reward in zip(x, rewards.tolist(), strict=True))
    prior = np.diag([2.0, 2.0, 1.5])
    weights = gamma ** np.arange(n - 1, -1, -1)
    v, w = (prior + (x.T * power) @ x for power in (weights, weights**2))
    theta = np.linalg.solve(v, prior @ np.array([0, 0, 0.6]) + x.T @ (weights * rewards))
    query = np.array([0.4, -0.7, 1.0])
    reach = np.linalg.solve(v, query)
    made.recompute()
    mean, spread = made.mean_and_std(query, ["a"])
    assert mean == pytest.approx([query @ theta], abs=1e-9)
    assert spread == pytest.approx([np.sqrt(reach @ w @ reach)], abs=1e-9)
    assert made.mean_and_std_many(query[None], ["a"])[1][0] == pytest.approx(spread, abs=1e-12)


def test_lin_ucb_with_a_half_life_takes_the_largest_bound_by_the_two_matrices() -> None:
    gamma, alpha, rng = 2.0 ** (-1 / 30), 1.0, np.random.default_rng(5)
    policy = LinUCB(d=3, half_life_events=30.0, alpha=alpha, prior_precision=2.0, intercept_precision=1.0)
    for arm in "ab":
        policy.add_arm(arm)
    n, prior, differ = 80, np.diag([2.0, 2.0, 1.0]), 0
    x, rewards, arms = rng.normal(size=(n, 3)), rng.random(n), rng.integers(2, size=n)
    for row, reward, arm in zip(x, rewards.tolist(), arms, strict=True):
        policy.learn([RewardChange("ab"[arm], row, 1.0, reward, reward**2)])
    policy.posterior.recompute()
    for query in rng.normal(size=(200, 3)):
        bounds = []
        for arm in range(2):
            weights = np.where(arms == arm, gamma ** np.arange(n - 1, -1, -1), 0.0)
            v, w = (prior + (x.T * power) @ x for power in (weights, weights**2))
            theta = np.linalg.solve(v, prior @ np.array([0, 0, 0.6]) + x.T @ (weights * rewards))
            reach = np.linalg.solve(v, query)
            bounds.append([query @ theta + alpha * np.sqrt(square) for square in (reach @ w @ reach, reach @ query)])
        (two, one), probs = np.argmax(bounds, axis=0), policy.probs(Context(query, "", 1), ("a", "b"), np.zeros(2))
        assert probs[two] == 1.0
        differ += two != one
    assert differ > 3  # the bound of one matrix chooses otherwise


def test_after_a_change_lin_ucb_with_a_half_life_follows_and_without_one_does_not() -> None:
    share = {}
    for half_life in (None, 100.0):
        policy = LinUCB(d=1, half_life_events=half_life)
        for arm in ("a", "b"):
            policy.add_arm(arm)
        rng, context, chosen = np.random.default_rng(0), Context(np.ones(1), "", 1), []
        for t in range(3000):
            drawn = draw(policy.probs(context, ("a", "b"), np.zeros(2)), floor=0.02, rng=rng)
            chosen.append(drawn.action)
            quality = 0.7 if drawn.action == (t >= 1500) else 0.3
            value = float(rng.random() < quality)
            policy.learn([RewardChange("ab"[drawn.action], np.ones(1), 1.0, value, value)])
        share[half_life] = np.mean(chosen[1800:2100])
    assert share[100.0] > 0.9
    assert share[None] < 0.5
