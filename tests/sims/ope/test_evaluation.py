import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LogError, LoggedData
from highwayman.sims.ope.estimate import Estimate, Estimator
from highwayman.sims.ope.estimators.clipped_ips import ClippedIPS
from highwayman.sims.ope.estimators.direct_method import DirectMethod
from highwayman.sims.ope.estimators.doubly_robust import DoublyRobust
from highwayman.sims.ope.estimators.ips import IPS
from highwayman.sims.ope.estimators.snips import SNIPS
from highwayman.sims.ope.evaluation import compare, evaluate
from highwayman.sims.ope.intervals.bootstrap import ClusteredBootstrap
from highwayman.sims.ope.intervals.confidence_sequence import ConfidenceSequence
from highwayman.sims.ope.intervals.empirical_bernstein import EmpiricalBernstein
from highwayman.sims.ope.intervals.normal import Normal
from tests.sims.ope.estimators.logs import log_of, random_log

LOG = random_log(np.random.default_rng(0), n=3000, per_session=3)
ESTIMATORS: list[Callable[[], Estimator]] = [IPS, partial(ClippedIPS, cap=5.0), SNIPS, DirectMethod, DoublyRobust]


def favours(arm: int, strength: float = 1.0) -> Callable[[LoggedData], Floats]:
    """Return a target that prefers an arm, the more the larger the first feature."""

    def probs(log: LoggedData) -> Floats:
        wish = np.zeros((log.n, len(log.arms)))
        wish[:, arm] = strength * (1.0 + log.contexts[:, 0] / 2)
        likely = np.exp(wish)
        return np.asarray(likely / likely.sum(axis=1, keepdims=True))

    return probs


def always(*probs: float) -> Callable[[LoggedData], Floats]:
    return lambda log: np.tile(np.array(probs), (log.n, 1))


def whole(log: LoggedData) -> Callable[[], Iterable[LoggedData]]:
    return lambda: [log]


def cut(log: LoggedData, size: int) -> Callable[[], Iterable[LoggedData]]:
    return lambda: (log.take(slice(start, start + size)) for start in range(0, log.n, size))


def numbers(found: Estimate) -> tuple[float, ...]:
    return found.value, found.stderr, found.low, found.high, found.support.ess, found.support.mean_ratio


@pytest.mark.parametrize("make", ESTIMATORS)
def test_chunks_do_not_matter(make: Callable[[], Estimator]) -> None:
    one = evaluate(whole(LOG), favours(1), estimator=make())
    many = evaluate(cut(LOG, 700), favours(1), estimator=make())
    assert numbers(many) == pytest.approx(numbers(one), rel=1e-4)
    assert (one.refused, one.warnings) == ((), ())


def test_an_estimate_on_four_rounds_can_be_checked_by_hand_though_it_is_refused() -> None:
    log = log_of([0, 1, 0, 1], [0.25, 0.5, 0.5, 0.5], [1.0, 0.5, 0.0, 1.0])  # ratios 2, 1, 1, 1
    found = evaluate(whole(log), always(0.5, 0.5))
    assert found.value == pytest.approx((2 + 0.5 + 1) / 5)
    assert found.stderr == pytest.approx(math.sqrt(4 / 3 * (4 * 0.3**2 + 0.2**2 + 0.7**2 + 0.3**2)) / 5)
    assert found.support.ess == pytest.approx(25 / 7)
    assert (found.support.n, found.support.mean_ratio, found.support.max_ratio) == (4, 1.25, 2.0)
    assert any("worth 4 of its own" in why and "50 are needed" in why for why in found.refused)
    assert any("one round carries 40%" in why for why in found.refused)


def test_a_log_that_can_be_read_only_once_is_refused_where_it_must_be_read_twice() -> None:
    once = iter([LOG])
    assert evaluate(lambda: once, favours(1)).support.n == LOG.n
    spent = iter([LOG])
    with pytest.raises(LogError, match="gave 3000 rounds the first time and 0 when it was read again"):
        evaluate(lambda: spent, favours(1), estimator=DoublyRobust())


def test_what_the_caller_gave_is_not_changed() -> None:
    estimator, interval = DoublyRobust(), ClusteredBootstrap()
    first = evaluate(whole(LOG), favours(1), estimator=estimator, interval=interval)
    again = evaluate(whole(LOG), favours(1), estimator=estimator, interval=interval)
    assert numbers(again) == numbers(first)


def test_rounds_without_a_reward_are_left_out_counted_and_warned_of() -> None:
    silent = np.arange(LOG.n) % 4 == 0
    quiet = replace(LOG, rewards=np.where(silent, np.nan, LOG.rewards))
    found = evaluate(cut(quiet, 1000), favours(1), estimator=DoublyRobust())
    wanted = evaluate(whole(LOG.take(~silent)), favours(1), estimator=DoublyRobust())
    assert numbers(found) == pytest.approx(numbers(wanted), rel=1e-4)
    assert (found.support.n, found.support.censored) == (2250, 750)
    assert found.warnings == ("25.0% of the rounds have no reward: the estimate speaks of the others only",)


@pytest.mark.parametrize("estimator", [SNIPS(), DoublyRobust()])
def test_utility_and_cost_are_estimated_in_their_own_units(estimator: Estimator) -> None:
    costs = np.array([0.001, 0.01, 0.04])
    log = replace(LOG, costs_usd=costs[LOG.actions], penalties=np.tile([0.0, 0.1, 0.3], (LOG.n, 1)))
    ask = partial(evaluate, whole(log), always(0.5, 0.25, 0.25), estimator=estimator)
    cost, quality, utility = ask(reward="cost_usd"), ask(), ask(reward="utility")
    assert cost.value == pytest.approx(0.5 * 0.001 + 0.25 * 0.01 + 0.25 * 0.04, rel=0.05)
    assert cost.low < cost.value < cost.high
    assert cost.stderr < 0.001
    assert utility.value == pytest.approx(quality.value - 0.1, abs=0.01)  # 0.25 * 0.1 + 0.25 * 0.3
    assert utility.stderr == pytest.approx(quality.stderr, rel=0.2)


def test_rounds_of_arms_without_a_price_are_left_out_of_costs() -> None:
    log = replace(LOG, costs_usd=np.where(LOG.actions == 2, np.nan, 0.01))
    found = evaluate(whole(log), always(0.5, 0.5, 0.0), reward="cost_usd")
    assert found.value == pytest.approx(0.01)
    assert found.support.censored == int((LOG.actions == 2).sum())


def test_stated_limits_are_kept_to_and_a_reward_beyond_them_is_named_with_its_row() -> None:
    log = replace(LOG, costs_usd=np.where(np.arange(LOG.n) == 1234, 0.7, 0.01))
    found = evaluate(whole(log), favours(1), estimator=IPS(max_ratio=10.0), interval=EmpiricalBernstein(),
                     reward="cost_usd", limits=(0.0, 1.0))  # fmt: skip
    assert found.low < found.value < found.high
    with pytest.raises(LogError, match=r"row 1234: cost_usd 0\.7 is outside the limits \[0\.0, 0\.5\]"):
        evaluate(cut(log, 500), favours(1), reward="cost_usd", limits=(0.0, 0.5))
    with pytest.raises(ValueError, match="limits must be two numbers"):
        evaluate(whole(log), favours(1), limits=(1.0, 0.0))
    with pytest.raises(ValueError, match="reward must be one of quality, utility, cost_usd, got 'stars'"):
        evaluate(whole(log), favours(1), reward="stars")  # type: ignore[arg-type]


@pytest.mark.parametrize(("row", "what"), [([0.5, 0.6, 0.1], "sum 1.2"), ([1.2, -0.2, 0.0], "must be >= 0")])
def test_a_target_that_is_no_distribution_is_named_with_its_row_on_the_whole_log(row: list[float], what: str) -> None:
    log = replace(LOG, rewards=np.where(np.arange(LOG.n) < 10, np.nan, LOG.rewards))

    def target(rounds: LoggedData) -> Floats:
        found = np.full((rounds.n, 3), 1 / 3)
        found[rounds.at == 1700.0] = row
        return found

    with pytest.raises(ValueError, match=f"row 1700: target probabilities.*{what}"):
        evaluate(cut(log, 600), target)
    with pytest.raises(ValueError, match=r"target gave shape \(3000, 2\) for 3000 rounds of 3 arms"):
        evaluate(whole(LOG), always(0.5, 0.5))


def test_wrong_propensities_are_noticed_though_snips_does_not_mind_them() -> None:
    found = evaluate(whole(replace(LOG, propensities=LOG.propensities * 0.8)), favours(1))
    assert found.value == pytest.approx(evaluate(whole(LOG), favours(1)).value)
    assert any("mean importance ratio is 1.2" in why and "propensities are not" in why for why in found.refused)


def test_arms_that_the_log_could_not_draw_are_warned_of_and_then_refused() -> None:
    log = replace(LOG, eligible=LOG.eligible.copy())
    log.eligible[LOG.actions != 2, 2] = False
    some, much = evaluate(whole(log), always(0.48, 0.48, 0.04)), evaluate(whole(log), always(0.3, 0.3, 0.4))
    share = float((LOG.actions != 2).mean())
    assert some.support.unsupported == pytest.approx(0.04 * share)
    assert any("not eligible on the log" in what for what in some.warnings)
    assert any(f"{0.4 * share:.1%} of this policy's choices" in why for why in much.refused)


def test_a_log_that_hardly_ever_did_what_the_policy_does_is_refused() -> None:
    rare = np.arange(20_000) % 200 == 0
    log = log_of(rare.astype(int).tolist(), np.where(rare, 0.005, 0.995).tolist(), [0.5] * 20_000)
    found = evaluate(whole(log), always(0.0, 1.0))
    assert found.support.ess == pytest.approx(100.0)
    assert any("worth 100 of its own" in why and "less than 1%" in why for why in found.refused)


def test_a_log_without_rewards_or_rounds_is_refused_and_not_estimated() -> None:
    for log in (replace(LOG, rewards=np.full(LOG.n, np.nan)), LOG.take(slice(0, 0))):
        for ask in (evaluate, compare):
            found = ask(whole(log), favours(1), estimator=DoublyRobust())
            assert math.isnan(found.value)
            assert found.refused == ("the log holds no round with a reward",)


def test_a_log_that_never_did_what_the_policy_does_is_refused() -> None:
    log = log_of([0] * 100, [1.0] * 100, [1.0] * 100)
    assert any("worth 0 of its own" in why for why in evaluate(whole(log), always(0.0, 1.0)).refused)
    assert any("worth 0 of its own" in why for why in compare(whole(log), always(0.0, 1.0)).refused)


def test_few_people_are_warned_of() -> None:
    few = replace(LOG, sessions=LOG.sessions % 7)
    one = replace(LOG, sessions=LOG.sessions * 0)
    assert any("come from 7 sessions only" in what for what in evaluate(whole(few), favours(1)).warnings)
    alone = evaluate(whole(one), favours(1))
    assert math.isnan(alone.stderr)
    assert any("all rounds are of one session" in what for what in alone.warnings)


def test_an_interval_that_has_nothing_to_say_says_so() -> None:
    found = evaluate(whole(LOG), favours(1), estimator=DoublyRobust(), interval=ConfidenceSequence())
    assert math.isnan(found.low)
    assert any("ConfidenceSequence has nothing to say" in what for what in found.warnings)


def test_an_empty_confidence_sequence_is_a_reason_to_refuse() -> None:
    log = log_of([0] * 2000, [0.5] * 2000, [0.9] * 2000)  # always arm 0, and yet with probability one half?
    found = evaluate(whole(log), always(1.0, 0.0), estimator=IPS(), interval=ConfidenceSequence())
    assert any("interval is empty" in why for why in found.refused)


@pytest.mark.parametrize("interval", [Normal(), ClusteredBootstrap()])
@pytest.mark.parametrize("make", ESTIMATORS)
def test_a_policy_is_better_than_another_by_the_difference_of_their_values(
    make: Callable[[], Estimator], interval: Normal | ClusteredBootstrap
) -> None:
    one, two = (evaluate(whole(LOG), favours(arm, 0.5), estimator=make()) for arm in (1, 2))
    found = compare(cut(LOG, 800), favours(1, 0.5), favours(2, 0.5), estimator=make(), interval=interval)
    back = compare(whole(LOG), favours(2, 0.5), favours(1, 0.5), estimator=make())
    assert found.value == pytest.approx(one.value - two.value, abs=1e-5)
    assert back.value == pytest.approx(-found.value, abs=1e-5)
    assert found.low < found.value < found.high
    assert found.support.ess == pytest.approx(min(one.support.ess, two.support.ess))


@pytest.mark.parametrize("make", ESTIMATORS)
def test_a_policy_is_better_than_the_one_that_logged_by_its_value_less_the_mean_reward(
    make: Callable[[], Estimator],
) -> None:
    found, alone = compare(whole(LOG), favours(1), estimator=make()), evaluate(whole(LOG), favours(1), estimator=make())
    assert found.value == pytest.approx(alone.value - LOG.rewards.mean(), abs=1e-6)


def test_what_two_policies_have_in_common_cancels() -> None:
    for estimator in (SNIPS(), IPS(), DoublyRobust()):
        alone = evaluate(whole(LOG), favours(1), estimator=estimator)
        near = compare(whole(LOG), favours(1), favours(1, 0.9), estimator=estimator)
        same = compare(whole(LOG), favours(1), favours(1), estimator=estimator)
        assert near.stderr < alone.stderr / 4
        assert (same.value, same.stderr) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_the_difference_of_ratios_has_the_error_of_its_influence() -> None:
    log = LOG.take(slice(0, 90))
    w, v = (probs(log)[np.arange(90), log.actions] / log.propensities for probs in (favours(1), favours(2)))
    one, two = (w * log.rewards).sum() / w.sum(), (v * log.rewards).sum() / v.sum()
    moved = w * (log.rewards - one) / w.mean() - v * (log.rewards - two) / v.mean()
    sums = np.bincount(log.sessions, moved)
    wanted = math.sqrt(30 / 29 * (sums**2).sum()) / 90
    assert compare(whole(log), favours(1), favours(2)).stderr == pytest.approx(wanted)


@pytest.mark.parametrize("other", [None, favours(2)])
def test_a_confidence_sequence_bounds_a_difference_and_is_nothing_for_a_ratio(
    other: Callable[[LoggedData], Floats] | None,
) -> None:
    ask = partial(compare, whole(LOG), favours(1), other, interval=ConfidenceSequence())
    found = ask(estimator=IPS())
    assert -1 < found.low < found.value < found.high < 1
    assert found.high - found.low < 0.5
    assert math.isnan(ask(estimator=SNIPS()).low)


def test_against_the_log_itself_a_policy_that_does_the_same_gains_nothing_for_sure() -> None:
    log = replace(LOG, propensities=np.full(LOG.n, 1 / 3))
    found = compare(whole(log), always(1 / 3, 1 / 3, 1 / 3), estimator=IPS(), interval=ConfidenceSequence())
    assert found.value == pytest.approx(0.0)
    assert found.high - found.low < 0.02


def test_a_better_policy_is_found_out_in_the_rewards_own_units() -> None:
    log = log_of(np.arange(4000) % 2, [0.5] * 4000, np.where(np.arange(4000) % 2, 0.9, 0.2).tolist(),
                 costs_usd=np.where(np.arange(4000) % 2, 0.05, 0.01))  # fmt: skip
    better = compare(whole(log), always(0.1, 0.9), estimator=IPS(), interval=ConfidenceSequence())
    dearer = compare(whole(log), always(0.1, 0.9), always(0.9, 0.1), reward="cost_usd")
    assert better.value == pytest.approx(0.83 - 0.55)
    assert better.low > 0.15
    assert dearer.value == pytest.approx(0.8 * 0.04)
    assert dearer.high < 0.04


COUNTED = np.random.default_rng(3).choice([1.0, 0.1, 0.25], LOG.n)


@pytest.mark.parametrize("make", ESTIMATORS)
def test_a_round_of_weight_two_counts_as_two_alike(make: Callable[[], Estimator]) -> None:
    twice = replace(LOG, weights=np.where(np.arange(LOG.n) % 3 == 1, 2.0, 1.0))
    doubled = LOG.take(np.repeat(np.arange(LOG.n), twice.weights.astype(int)))
    for ask in (evaluate, compare):
        by_weight, by_number = (ask(whole(log), favours(1), estimator=make()) for log in (twice, doubled))
        assert by_weight.value == pytest.approx(by_number.value, rel=1e-4)
        assert (by_weight.low, by_weight.high) == pytest.approx((by_number.low, by_number.high), abs=1e-3)
        assert by_weight.support.ess == pytest.approx(by_number.support.ess, rel=0.35)


@pytest.mark.parametrize("make", ESTIMATORS)
def test_rounds_that_all_weigh_the_same_count_as_if_nothing_had_been_said_of_weights(
    make: Callable[[], Estimator],
) -> None:
    light = replace(LOG, weights=np.full(LOG.n, 0.02))
    for ask in (evaluate, compare):
        assert numbers(ask(cut(light, 700), favours(1), estimator=make())) == pytest.approx(
            numbers(ask(whole(LOG), favours(1), estimator=make())), rel=1e-4
        )
    ask = partial(evaluate, target=favours(1), estimator=IPS(), interval=ConfidenceSequence())
    assert ask(whole(light)).low == ask(whole(LOG)).low
    assert math.isnan(ask(whole(replace(LOG, weights=COUNTED))).low), (
        "of rounds that count differently it knows nothing"
    )


def test_a_cost_counts_whatever_was_said_and_by_what_was_kept_of_the_log() -> None:
    log = replace(LOG, costs_usd=np.array([0.001, 0.01, 0.04])[LOG.actions])
    ask = partial(evaluate, target=favours(1), reward="cost_usd")
    assert ask(whole(replace(log, weights=COUNTED))).value == ask(whole(log)).value
    thinned = replace(log, kept=np.where(LOG.actions == 2, 0.5, 1.0))
    expected = evaluate(whole(replace(log, weights=1 / thinned.kept, rewards=log.costs_usd)), favours(1)).value
    assert ask(whole(thinned)).value == pytest.approx(expected)


@pytest.mark.parametrize("estimator", [SNIPS(), IPS(), ClippedIPS(cap=10.0), DoublyRobust()])
def test_a_propensity_too_small_to_divide_by_is_named_and_no_estimate_is_nan(estimator: Estimator) -> None:
    for tiny in (5e-324, 1e-310, 1e-160):
        log = replace(LOG, propensities=np.where(np.arange(LOG.n) == 7, tiny, LOG.propensities))
        with pytest.raises(LogError, match=r"row 7: propensity .* is too small to divide by"):
            evaluate(whole(log), favours(1), estimator=estimator)
    small = replace(LOG, propensities=np.where(np.arange(LOG.n) == 7, 1e-90, LOG.propensities))
    found = evaluate(whole(small), favours(1), estimator=estimator)
    assert math.isfinite(found.value)
    assert math.isfinite(found.support.ess)
    assert any("one round carries" in why or "worth" in why for why in found.refused) or isinstance(
        estimator, ClippedIPS
    )


def test_thumbs_on_bad_answers_rather_than_good_ones_bias_values_unnoticed_and_their_weights_mend_it() -> None:
    rng, n = np.random.default_rng(0), 20_000
    actions = rng.integers(0, 2, n)
    good = rng.random(n) < np.where(actions == 0, 0.8, 0.75)
    rate = np.where(good, 0.05, 0.15)
    rewards = np.where(rng.random(n) < rate, good, np.nan)
    log = log_of(actions.tolist(), [0.5] * n, rewards.tolist())
    selective = evaluate(whole(log), always(1.0, 0.0))
    assert selective.value < 0.6
    assert selective.refused == ()
    weighed = evaluate(whole(replace(log, weights=1 / rate)), always(1.0, 0.0))
    assert weighed.low < 0.8 < weighed.high
