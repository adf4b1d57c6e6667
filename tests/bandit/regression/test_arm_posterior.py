import numpy as np
import pytest

from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.arm_posterior import ArmPosterior
from highwayman.bandit.regression.ridge_posterior import RidgePosterior
from highwayman.env.types import Floats, RewardChange

D = 3


class AllAnew(ArmPosterior):
    """The prior of `RidgePosterior`, which for all the shell knows may depend on feedback."""

    _KIND = "linear sums"

    def _prior_precision(self) -> Floats:
        return np.array([2.0, 2.0, 1.0])

    def _draw_prior(self, precision: Floats) -> Floats:
        return precision * [0.0, 0.0, 0.6]

    def _prior_squares(self) -> float:
        return 0.36 * len(self.arms)


def changes(n: int) -> list[RewardChange]:
    """Return n rounds of two arms, a minute apart, every fourth of them taken back in the end."""
    rng = np.random.default_rng(0)
    rounds = [
        RewardChange("ab"[k % 2], np.append(rng.normal(size=D - 1), 1.0), 1.0, reward, reward**2, 1e9 + 60.0 * k)
        for k, reward in enumerate(rng.random(n).tolist())
    ]
    gone = [RewardChange(c.arm, c.features, -1.0, -c.weighted, -c.squared, c.at) for c in rounds[::4]]
    return [*rounds, *gone]


def beliefs(of: ArmPosterior) -> Floats:
    queries = np.random.default_rng(1).normal(size=(5, D))
    return np.concatenate([*(part.ravel() for part in of.mean_and_std_many(queries, of.arms)), [of.noise_variance()]])


def test_a_prior_drawn_anew_at_every_turn_and_one_that_never_is_believe_the_same_if_they_are_the_same() -> None:
    anew = AllAnew(d=D, fingerprint="", noise=(0.1, 20.0), forgetting=None, fades=False)
    fixed = RidgePosterior(d=D)
    for posterior in (anew, fixed):
        for arm in "ab":
            posterior.add_arm(arm)
        posterior.update(changes(40))
        posterior.discount("b", share=0.5)
        posterior.warm_start("a", "c", weight=5.0)
    assert beliefs(anew) == pytest.approx(beliefs(fixed), abs=1e-12)
    assert anew.state() == fixed.state()


def test_a_new_arm_lets_feedback_fade_only_where_the_prior_may_depend_on_it() -> None:
    anew = AllAnew(d=D, fingerprint="", noise=(0.1, 20.0), forgetting=Forgetting(hours=100.0), fades=False)
    fixed = RidgePosterior(d=D, forgetting=Forgetting(hours=100.0))
    for posterior in (anew, fixed):
        posterior.add_arm("a")
        posterior.update(
            [RewardChange("a", np.ones(D), 1.0, 1.0, 1.0, at) for at in (3600.0, 7200.0)]  # less than has to fade
        )
        posterior.add_arm("b")
    assert fixed.total_weight() == pytest.approx(1.0 + 2.0**0.01)  # relative to the first round
    assert anew.total_weight() == pytest.approx(2.0**-0.01 + 1.0)  # relative to the last one


def test_a_discounted_arm_is_less_sure_at_once_and_the_other_as_it_was() -> None:
    anew = AllAnew(d=D, fingerprint="", noise=(0.1, 20.0), forgetting=None, fades=False)
    fixed = RidgePosterior(d=D)
    for posterior in (anew, fixed):
        for arm in "ab":
            posterior.add_arm(arm)
        posterior.update(changes(200))
        _, before = posterior.mean_and_std(np.ones(D), "ab")
        posterior.discount("a", share=0.04)
        _, after = posterior.mean_and_std(np.ones(D), "ab")
        assert after[0] > 2.5 * before[0]
        assert after[1] == pytest.approx(before[1])


def test_what_was_learned_on_another_encoders_features_is_not_merged() -> None:
    mine, other = RidgePosterior(d=D, fingerprint="f"), RidgePosterior(d=D, fingerprint="g")
    with pytest.raises(ValueError, match="features of encoder 'g' do not mix with those of 'f'"):
        mine.merge(other)


@pytest.mark.parametrize("faded", ["this one", "the other", "discounted", "the other discounted"])
def test_what_weighs_by_a_clock_or_a_discount_of_its_own_is_not_merged(faded: str) -> None:
    hours = Forgetting(hours=100.0)
    mine = RidgePosterior(d=D, forgetting=hours if faded == "this one" else None)
    other = RidgePosterior(d=D, forgetting=hours if faded == "the other" else None)
    for posterior in (mine, other):
        for arm in "ab":
            posterior.add_arm(arm)
        posterior.update(changes(8))
    if "discounted" in faded:
        (mine if faded == "discounted" else other).discount("a", share=0.5)
    before = mine.state()
    with pytest.raises(ValueError, match="posteriors with a half-life or doubted arms cannot be merged"):
        mine.merge(other)
    assert mine.state() == before
