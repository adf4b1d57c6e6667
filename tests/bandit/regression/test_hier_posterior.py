from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit import snapshot
from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.hier_posterior import HierPosterior, HierPrior
from highwayman.env.encoder.features.tags import Tag, TagColumns
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, RewardChange

ARMS = ("a", "b", "c")
D = 3


def posterior(**options: float) -> HierPosterior:
    made = HierPosterior(d=D, fingerprint="f", prior=HierPrior(**options))
    for arm in ARMS:
        made.add_arm(arm)
    return made


def rewards(n: int, *, seed: int) -> list[RewardChange]:
    """Return n rewards of weight 1 of arms that share a slope and differ in their intercepts."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        place = int(rng.integers(len(ARMS)))
        x = np.append(rng.normal(size=D - 1), 1.0)
        value = float(np.clip(0.3 + 0.2 * place + 0.1 * x[0] + 0.1 * rng.normal(), 0, 1))
        found.append(RewardChange(ARMS[place], x, 1.0, value, value**2))
    return found


def settled(changes: list[RewardChange], **options: float) -> HierPosterior:
    made = posterior(**options)
    made.update(changes)
    made.recompute()
    return made


def jointly(changes: list[RewardChange], own: float) -> tuple[Floats, Floats]:
    """Return beta (d,) and theta (K, d) of one regression over shared and own coefficients, solved directly."""
    k = len(ARMS)
    a, b = np.zeros(((k + 1) * D, (k + 1) * D)), np.zeros((k + 1) * D)  # beta, then each arm's own part
    a[:D, :D] = np.diag([30.0, 30.0, 1.0])
    b[D - 1] = 0.6
    for place in range(k):
        at = slice((place + 1) * D, (place + 2) * D)
        a[at, at] = np.diag([own, own, 1.0])
    for change in changes:
        row = np.zeros((k + 1) * D)
        row[:D] = change.features
        place = ARMS.index(change.arm)
        row[(place + 1) * D : (place + 2) * D] = change.features
        a += change.weight * np.outer(row, row)
        b += change.weighted * row
    found = np.linalg.solve(a, b)
    return found[:D], found[:D] + found[D:].reshape(k, D)


@given(st.integers(0, 200), st.integers(0, 50))
@settings(max_examples=25)
def test_the_means_are_those_of_one_joint_regression(n: int, seed: int) -> None:
    changes = rewards(n, seed=seed)
    made = settled(changes, early_precision=60.0, caution=1e9)
    own = max(2.0, 60.0 * min(len(ARMS) / max(n, 1), 1.0))
    beta, theta = jointly(changes, own)
    assert made.shared == pytest.approx(beta, abs=1e-9)
    for x in np.eye(D):
        assert made.mean_and_std(x, ARMS)[0] == pytest.approx(theta @ x, abs=1e-9)


def test_what_is_kept_up_by_rank_one_is_what_a_direct_solution_with_that_prior_says() -> None:
    made, changes = posterior(), rewards(300, seed=1)
    made.update(changes)
    rows = {arm: [one for one in changes if one.arm == arm] for arm in ARMS}
    seen, stage = 0.0, made._settled_at
    for n in range(1, 301):  # the weight at which the prior was last drawn
        if int(np.log(n) / np.log(1.1)) == stage:
            seen = float(n)
            break
    own = np.array([max(2.0, 3000.0 * min(3 / seen, 1.0))] * 2 + [1.0])
    for arm, told in rows.items():
        a = np.diag(own) + sum(np.outer(one.features, one.features) for one in told)
        b = own * made.shared + sum(one.weighted * one.features for one in told)
        x = np.array([0.3, -0.2, 1.0])
        mean, spread = made.mean_and_std(x, [arm])
        assert mean == pytest.approx([np.linalg.solve(a, b) @ x], abs=1e-9)
        assert spread == pytest.approx([np.sqrt(x @ np.linalg.solve(a, x))], abs=1e-9)


def test_one_observation_moves_the_other_arms_less_than_its_own() -> None:
    made = settled([RewardChange("a", np.array([0.0, 0.0, 1.0]), 1.0, 1.0, 1.0)])
    # Intercepts: beta has precision 1 + 1/2 (a's own part integrated out) and evidence .6 + 1/2: 1.1 / 1.5.
    assert made.shared[-1] == pytest.approx(1.1 / 1.5)
    means = made.mean_and_std(np.array([0.0, 0.0, 1.0]), ARMS)[0]
    assert means == pytest.approx([(1.1 / 1.5 + 1) / 2, 1.1 / 1.5, 1.1 / 1.5])


def test_a_new_arm_starts_at_what_the_others_have_in_common_and_is_less_sure() -> None:
    made = settled(rewards(400, seed=2))
    made.add_arm("new")
    x = np.array([1.0, 0.0, 1.0])
    means, spreads = made.mean_and_std(x, [*ARMS, "new"])
    assert means[-1] == pytest.approx(made.shared @ x)
    assert spreads[-1] > 3 * spreads[:-1].max()


def test_an_arm_that_begins_like_another_expects_what_that_one_does_which_keeps_what_it_knows() -> None:
    made = settled([*rewards(300, seed=5), *[RewardChange("a", np.array([0.5, 0.0, 1.0]), 1.0, 1.0, 1.0)] * 200])
    x, known = np.array([0.5, 0.0, 1.0]), made.weight_of("a")
    before = made.mean_and_std(x, ["a"])
    made.warm_start("a", "new", weight=100.0)
    assert made.weights_of(["a", "new"]) == pytest.approx([known, 100.0])
    (of_a, of_new), (sure, less_sure) = made.mean_and_std(x, ["a", "new"])
    assert of_a == pytest.approx(before[0][0], abs=0.01)
    assert of_new == pytest.approx(of_a, abs=0.03)
    assert less_sure > 1.2 * sure
    made.warm_start("new", "newer", weight=1e6)  # no more can be lent than there is
    assert made.weight_of("newer") == pytest.approx(100.0)


def test_the_precision_of_own_features_falls_with_feedback_down_to_its_end() -> None:
    x = np.array([1.0, 0.0, 0.0])
    spreads = [posterior(early_precision=300.0).mean_and_std(x, ["a"])[1][0]]
    for n in (3, 30, 300, 3000):
        told = [RewardChange("b", np.array([0.0, 0.0, 1.0]), 1.0, 0.5, 0.25)] * n
        spreads.append(settled(told, early_precision=300.0).mean_and_std(x, ["a"])[1][0])
    assert spreads[0] == spreads[1] == pytest.approx(1 / np.sqrt(300))  # one round per arm
    assert all(later > earlier for earlier, later in pairwise(spreads[1:]))
    assert spreads[-1] == pytest.approx(1 / np.sqrt(2))


@given(st.integers(0, 30), st.data())
@settings(max_examples=25)
def test_a_revised_round_leaves_the_state_that_only_saw_the_final_value(seed: int, data: st.DataObject) -> None:
    changes = rewards(80, seed=seed)
    at = data.draw(st.integers(0, 79))
    first, final = changes[at], data.draw(st.sampled_from([0.0, 0.25, 1.0]))
    revised = RewardChange(first.arm, first.features, 0.0, final - first.weighted, final**2 - first.squared)
    one = settled([*changes, revised])
    changes[at] = RewardChange(first.arm, first.features, 1.0, final, final**2)
    assert same(one, settled(changes))


@given(st.integers(0, 30), st.integers(0, 79))
@settings(max_examples=25)
def test_an_erased_round_leaves_the_state_that_never_saw_it(seed: int, at: int) -> None:
    changes = rewards(80, seed=seed)
    gone = changes[at]
    erased = RewardChange(gone.arm, gone.features, -1.0, -gone.weighted, -gone.squared)
    assert same(settled([*changes, erased]), settled(changes[:at] + changes[at + 1 :]))


def same(one: HierPosterior, other: HierPosterior) -> bool:
    asked = np.random.default_rng(0).normal(size=(5, D))
    pairs = zip(one.mean_and_std_many(asked, ARMS), other.mean_and_std_many(asked, ARMS), strict=True)
    near = all(np.allclose(a, b, rtol=0, atol=1e-9) for a, b in pairs)
    return near and abs(one.noise_variance() - other.noise_variance()) < 1e-9


def test_the_noise_is_learned() -> None:
    rng = np.random.default_rng(3)
    changes = [
        RewardChange("a", np.array([0.0, 0.0, 1.0]), 1.0, value, value**2)
        for value in 0.5 + 0.05 * rng.normal(size=4000)
    ]
    assert settled(changes).noise_variance() == pytest.approx(0.05**2, rel=0.35)


def test_a_snapshot_of_no_rounds_is_refused_and_changes_nothing() -> None:
    made = settled(rewards(50, seed=4))
    header, arrays = snapshot.unpack(made.state())
    arrays["a"] = arrays["a"] - 1e6 * np.eye(D)
    before = made.state()
    with pytest.raises(SnapshotError, match="not positive semidefinite"):
        made.restore(snapshot.pack(header, arrays))
    assert made.state() == before


@pytest.mark.parametrize("name", ["early_precision", "final_precision", "shared_precision", "noise_variance"])
def test_a_number_that_cannot_be_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be > 0, got -1"):
        posterior(**{name: -1.0})


@pytest.mark.parametrize("mean", [np.nan, np.inf])
def test_the_quality_of_an_unknown_arm_may_be_any_number(mean: float) -> None:
    with pytest.raises(ValueError, match="prior_mean must be a finite number"):
        posterior(prior_mean=mean)
    assert posterior(prior_mean=-0.5).mean_and_std(np.array([0.0, 0.0, 1.0]), ["a"])[0] == pytest.approx([-0.5])


def test_a_change_that_is_refused_moves_nothing_not_even_a_clock() -> None:
    made = HierPosterior(d=D, forgetting=Forgetting(hours=1.0))
    made.add_arm("a")
    made.update([RewardChange("a", np.ones(D), 1.0, 1.0, 1.0, at=3600.0)])
    before = made.state()
    with pytest.raises(ValueError, match=r"features must have shape \(3,\), got \(2,\)"):
        made.update([RewardChange("a", np.ones(2), 1.0, 1.0, 1.0, at=360_000.0)])
    assert made.state() == before


def told_of_tasks(n: int, *, apart: float, seed: int = 0) -> HierPosterior:
    """Return what is learned of n answers: `a` is that much better at the first level of a tag, `b` at the second."""
    rng, columns = np.random.default_rng(seed), TagColumns((Tag("task", slots=3),))
    made = HierPosterior(d=4 + D, fingerprint=columns.fingerprint("f"))
    for arm in ARMS:
        made.add_arm(arm)
    for number in range(n):
        arm, level = ARMS[int(rng.integers(len(ARMS)))], number % 3
        good = 0.6 + apart * ((arm, level) in (("a", 0), ("b", 1)))
        value = float(rng.random() < good)
        x = np.concatenate([columns.row([("task", level)]), rng.normal(scale=0.2, size=D - 1), [1.0]])
        made.update([RewardChange(arm, x, 1.0, value, value)])
    made.recompute()
    return made


def expected_at(posterior: HierPosterior, level: int | None) -> list[float]:
    places = [] if level is None else [("task", level)]
    x = np.concatenate([TagColumns((Tag("task", slots=3),)).row(places), [0.0, 0.0, 1.0]])
    return posterior.mean_and_std(x, ARMS)[0].tolist()


def test_which_arm_is_good_at_a_level_is_learned_long_before_what_a_query_says_would_be() -> None:
    learned = told_of_tasks(400, apart=0.35)
    at_first, at_second = expected_at(learned, 0), expected_at(learned, 1)
    assert at_first[0] - at_first[1] > 0.12
    assert at_second[1] - at_second[0] > 0.12
    assert learned._prior_precision()[0] <= 20.0 < learned._prior_precision()[4]


def test_levels_at_which_no_arm_stands_out_are_shut_out_and_a_new_one_is_at_what_is_common() -> None:
    learned = told_of_tasks(600, apart=0.0)
    assert min(learned._prior_precision()[:4]) >= 60.0
    assert max(abs(x - y) for x, y in zip(expected_at(learned, 0), expected_at(learned, 1), strict=True)) < 0.2
    told = told_of_tasks(600, apart=0.35)
    assert expected_at(told, 3) == pytest.approx(expected_at(told, None), abs=0.02)  # the column of rare levels


def test_columns_of_tags_that_are_0_are_left_out_of_the_sums_and_change_nothing() -> None:
    learned, columns = told_of_tasks(200, apart=0.35), TagColumns((Tag("task", slots=3),))
    for places in ([("task", 1)], []):
        x = np.concatenate([columns.row(places), [0.3, -0.2, 1.0]])
        for arms in (ARMS, ARMS[1:]):
            one, many = learned.mean_and_std(x, arms), learned.mean_and_std_many(x[None], arms)
            assert one[0] == pytest.approx(many[0][0], abs=1e-12)
            assert learned.means(x, arms) == pytest.approx(one[0], abs=1e-12)
            assert one[1] == pytest.approx(many[1][0], abs=1e-12)


def test_an_arm_is_believed_the_same_of_whichever_others_are_asked_about_with_it() -> None:
    learned, x = settled(rewards(200, seed=6)), np.array([0.3, -0.2, 1.0])
    means, spreads = learned.mean_and_std(x, ARMS)
    for arms in (("b",), ("c", "a"), ("b", "c"), ("c", "b", "a")):
        places = [ARMS.index(arm) for arm in arms]
        assert learned.mean_and_std(x, arms)[0] == pytest.approx(means[places], abs=1e-12)
        assert learned.means(x, arms) == pytest.approx(means[places], abs=1e-12)
        assert learned.mean_and_std(x, list(arms))[1] == pytest.approx(spreads[places], abs=1e-12)


class Counting(HierPosterior):
    """Counts how often its prior was drawn."""

    draws = 0

    def _draw_prior(self, precision: Floats) -> Floats:
        self.draws += 1
        return super()._draw_prior(precision)


@pytest.mark.parametrize("half_life", [None, Forgetting(events=40.0)], ids=["for ever", "fading"])
def test_whoever_asks_after_every_round_and_whoever_asks_at_the_end_are_told_the_same_bits(
    half_life: Forgetting | None,
) -> None:
    often, seldom = (HierPosterior(d=D, forgetting=deepcopy(half_life)) for _ in range(2))
    x = np.array([0.3, -0.2, 1.0])
    for posterior in (often, seldom):
        for arm in ARMS:
            posterior.add_arm(arm)
    for number, change in enumerate(rewards(260, seed=9)):
        often.update([change])
        often.mean_and_std(x, ARMS)
        seldom.update([change])
        if number == 130:
            assert often.state() == seldom.state()
    assert [values.tolist() for values in often.mean_and_std(x, ARMS)] == [
        values.tolist() for values in seldom.mean_and_std(x, ARMS)
    ]
    assert often.noise_variance() == seldom.noise_variance()


def test_the_prior_is_drawn_once_for_however_many_arms_and_for_nobody_who_does_not_ask() -> None:
    made = Counting(d=D, fingerprint="f")
    for number in range(64):
        made.add_arm(f"arm-{number}")
    assert made.draws == 0
    made.mean_and_std(np.ones(D), ["arm-0", "arm-63"])
    made.update([RewardChange("arm-7", np.ones(D), 40.0, 20.0, 10.0)] * 20)
    state = made.state()
    assert made.draws == 1
    copy = Counting(d=D, fingerprint="f")
    copy.restore(state)
    assert copy.draws == 1, "before anybody asks"
    copy.mean_and_std(np.ones(D), copy.arms)
    assert copy.draws == 1


def test_a_round_taken_back_that_would_cost_digits_leaves_what_the_sums_say_whatever_waits_behind_it() -> None:
    x = np.array([1e5, 0.0, 1.0])
    made, plain = posterior(), posterior()
    plain.update([RewardChange("a", np.array([0.2, 0.1, 1.0]), 1.0, 1.0, 1.0)])
    plain.recompute()
    made.update([RewardChange("a", x, 1.0, 0.5, 0.25)])
    made.mean_and_std(x, ARMS)
    made.update([RewardChange("a", x, -1.0, -0.5, -0.25), RewardChange("a", np.array([0.2, 0.1, 1.0]), 1.0, 1.0, 1.0)])
    assert made.mean_and_std(np.ones(D), ARMS)[0] == pytest.approx(plain.mean_and_std(np.ones(D), ARMS)[0], abs=1e-6)


def test_before_any_arm_what_arms_have_in_common_and_the_noise_are_what_was_believed_at_first() -> None:
    made = HierPosterior(d=D, prior=HierPrior(prior_mean=0.7, noise_variance=0.1))
    assert made.shared.tolist() == [0.0, 0.0, 0.7]
    assert made.noise_variance() == pytest.approx(0.1)


def test_the_noise_is_what_rewards_beliefs_and_what_arms_have_in_common_lie_off_what_they_were_expected_at() -> None:
    changes = rewards(90, seed=4)
    made = settled(changes, early_precision=60.0, caution=1e9)
    own = 60.0 * len(ARMS) / 90
    beta, theta = jointly(changes, max(2.0, own))
    residuals = sum((one.weighted - theta[ARMS.index(one.arm)] @ one.features) ** 2 for one in changes)
    parts = (np.array([max(2.0, own)] * 2 + [1.0]) * (theta - beta) ** 2).sum()
    common = (np.array([30.0, 30.0, 1.0]) * (beta - [0.0, 0.0, 0.6]) ** 2).sum()
    prior, weight = HierPrior().noise_variance, 20.0
    assert made.noise_variance() == pytest.approx((prior * weight + residuals + parts + common) / (weight + 90))
