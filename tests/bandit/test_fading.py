import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit.draw import draw
from highwayman.bandit.fading import Fading
from highwayman.bandit.hier_posterior import HierPosterior
from highwayman.bandit.lin_ucb import LinUCB
from highwayman.bandit.posterior import LinearPosterior
from highwayman.env.types import Context, RewardChange

HOUR_S = 3600.0
START_S = 1_700_000_000.0


def thumb(value: float, *, at: float = 0.0, weight: float = 1.0, arm: str = "a") -> RewardChange:
    return RewardChange(arm, np.ones(1), weight, weight * value, weight * value**2, at)


def posterior(*changes: RewardChange, **half_life: float) -> HierPosterior:
    made = HierPosterior(d=1, fading=Fading(**half_life))
    made.add_arm("a")
    made.update(changes)
    made.settle()
    return made


def test_a_round_a_half_life_ago_weighs_half_and_two_ago_a_quarter() -> None:
    changes = [thumb(1.0, at=START_S + hours * HOUR_S) for hours in (0.0, 24.0, 48.0)]
    assert posterior(*changes, hours=24.0).weight_seen() == pytest.approx(0.25 + 0.5 + 1.0)


def test_counted_in_rounds_the_weight_is_a_geometric_series() -> None:
    changes = [thumb(1.0, at=START_S + n) for n in range(40)]
    wanted = sum(2.0 ** (-age / 10) for age in range(40))
    assert posterior(*changes, events=10.0).weight_seen() == pytest.approx(wanted)


def test_the_prior_never_fades() -> None:
    long_ago = posterior(thumb(0.0, at=START_S), thumb(0.0, at=START_S + 1000 * HOUR_S), hours=1.0)
    long_ago.update([thumb(0.0, at=START_S + 1000 * HOUR_S, weight=-1.0)])  # nothing recent stands
    long_ago.settle()
    assert long_ago.spread(np.ones(1), ["a"])[0] == pytest.approx([0.6], abs=1e-9)


@pytest.mark.parametrize("half_life", [{"hours": 5.0}, {"events": 5.0}])
def test_a_late_label_weighs_what_its_round_would_weigh_by_now(half_life: dict[str, float]) -> None:
    others = [thumb(1.0, at=START_S + n * HOUR_S) for n in range(20)]
    in_time = posterior(*others[:8], thumb(0.0, at=START_S + 7.5 * HOUR_S), *others[8:], **half_life)
    late = posterior(*others, thumb(0.0, at=START_S + 7.5 * HOUR_S), **half_life)
    assert late.spread(np.ones(1), ["a"])[0] == pytest.approx(in_time.spread(np.ones(1), ["a"])[0], abs=0.01)
    now = posterior(*others, thumb(0.0, at=START_S + 19.5 * HOUR_S), **half_life)
    assert now.spread(np.ones(1), ["a"])[0] < late.spread(np.ones(1), ["a"])[0] - 0.05


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
    for one, other in zip(flipped.spread(np.ones(1), ["a"]), only.spread(np.ones(1), ["a"]), strict=True):
        assert one == pytest.approx(other, abs=1e-9)
    assert flipped.noise_variance() == pytest.approx(only.noise_variance(), abs=1e-9)


def test_erasing_a_round_under_a_half_life_in_hours_equals_never_having_seen_it() -> None:
    rounds = [thumb(float(n % 2), at=START_S + n * HOUR_S) for n in range(30)]
    erased = posterior(*rounds, thumb(0.0, at=rounds[10].at, weight=-1.0), hours=7.0)
    never = posterior(*rounds[:10], *rounds[11:], hours=7.0)
    assert erased.spread(np.ones(1), ["a"])[0] == pytest.approx(never.spread(np.ones(1), ["a"])[0], abs=1e-9)


def test_the_clock_survives_its_state_and_damage_is_refused() -> None:
    fading = Fading(events=10.0)
    for n in range(1000):
        fading.weight(START_S + n, new=True)
    again = Fading(events=10.0)
    again.restore(fading.state())
    assert again.weight(START_S + 500.0, new=False) == fading.weight(START_S + 500.0, new=False)
    assert len(fading.state()["marks"]) <= 256
    for damage in ({}, {"now": 0.0, "base": 1.0, "marks": []}, {"now": 1.0, "base": 0.0, "marks": [[2, 0], [1, 0]]}):
        with pytest.raises(ValueError, match="clock"):
            again.restore(damage)


@pytest.mark.parametrize("options", [{}, {"events": 1.0, "hours": 1.0}, {"events": 0.0}, {"hours": float("inf")}])
def test_a_half_life_that_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="half_life"):
        Fading(**options)


@pytest.mark.parametrize("n", [1, 7, 60])
def test_linear_regressions_that_fade_have_the_two_matrices_of_d_lin_ucb(n: int) -> None:
    gamma, rng = 2.0 ** (-1 / 20), np.random.default_rng(n)
    x, rewards = rng.normal(size=(n, 3)), rng.random(n)
    made = LinearPosterior(d=3, fading=Fading(events=20.0), prior_precision=2.0, intercept_precision=1.5)
    made.add_arm("a")
    made.update(RewardChange("a", row, 1.0, reward, reward**2) for row, reward in zip(x, rewards.tolist(), strict=True))
    prior = np.diag([2.0, 2.0, 1.5])
    weights = gamma ** np.arange(n - 1, -1, -1)
    v, w = (prior + (x.T * power) @ x for power in (weights, weights**2))
    theta = np.linalg.solve(v, prior @ np.array([0, 0, 0.6]) + x.T @ (weights * rewards))
    query = np.array([0.4, -0.7, 1.0])
    reach = np.linalg.solve(v, query)
    made.restore(made.state())  # what faded since the last time is let fade
    made._fade(made._fading.rebase())  # type: ignore[union-attr]
    mean, spread = made.spread(query, ["a"])
    assert mean == pytest.approx([query @ theta], abs=1e-9)
    assert spread == pytest.approx([np.sqrt(reach @ w @ reach)], abs=1e-9)
    assert made.spread_many(query[None], ["a"])[1][0] == pytest.approx(spread, abs=1e-12)


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
