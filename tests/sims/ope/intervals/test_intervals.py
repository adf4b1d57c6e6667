import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.sims.measures.over_seeds import mean_interval
from highwayman.sims.measures.student_t import student_t
from highwayman.sims.ope.estimate import Interval, RoundValues
from highwayman.sims.ope.estimators.ratios import ones
from highwayman.sims.ope.intervals.bootstrap import ClusteredBootstrap, poisson_weights
from highwayman.sims.ope.intervals.confidence_sequence import ConfidenceSequence
from highwayman.sims.ope.intervals.empirical_bernstein import EmpiricalBernstein
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.ope.intervals.pseudo_rounds import SteadiedInterval, pseudo_rounds

EVERY: list[Callable[[], Interval]] = [Normal, ClusteredBootstrap, EmpiricalBernstein, ConfidenceSequence]


def mean_of(x: Floats, sessions: Floats | None = None, *, high: float = 1.0) -> RoundValues:
    who = np.arange(len(x)) if sessions is None else sessions.astype(np.int64)
    return RoundValues(x, ones(len(x)), ones(len(x)), who, 0.0, high, martingale=True)


def ends(interval: Interval, *rounds: RoundValues) -> tuple[float, float]:
    for some in rounds:
        interval.add(some)
    return interval.interval()


@pytest.mark.parametrize("make", EVERY)
def test_chunks_do_not_matter(make: Callable[[], Interval]) -> None:
    x, who = np.random.default_rng(0).random(500), np.arange(500) % 120
    parts = [mean_of(x[start : start + 90], who[start : start + 90]) for start in range(0, 500, 90)]
    assert ends(make(), *parts) == pytest.approx(ends(make(), mean_of(x, who)), abs=1e-7)


@pytest.mark.parametrize("make", EVERY)
def test_an_interval_holds_the_mean_and_narrows_with_the_square_root_of_the_rounds(
    make: Callable[[], Interval],
) -> None:
    x = np.random.default_rng(1).random(40_000)
    few, many = ends(make(), mean_of(x[:10_000])), ends(make(), mean_of(x))
    assert few[0] < 0.5 < few[1]
    assert (few[1] - few[0]) / (many[1] - many[0]) == pytest.approx(2.0, rel=0.25)


@pytest.mark.parametrize("make", EVERY)
def test_more_confidence_is_wider(make: Callable[..., Interval]) -> None:
    x = mean_of(np.random.default_rng(2).random(300))
    low, high = ends(make(level=0.8), x)
    wider_low, wider_high = ends(make(level=0.99), x)
    assert wider_low < low < high < wider_high
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\), got 95"):
        make(level=95)


@pytest.mark.parametrize("make", [Normal, ClusteredBootstrap])
def test_rounds_of_few_people_say_less_than_as_many_of_many(make: Callable[[], Interval]) -> None:
    who = np.arange(400) // 20
    x = np.random.default_rng(3).random(20)[who]
    of_few, of_many = ends(make(), mean_of(x, who)), ends(make(), mean_of(x))
    assert of_few[1] - of_few[0] > 3.5 * (of_many[1] - of_many[0])


def test_bernsteins_bound_needs_two_rounds() -> None:
    assert np.isnan(ends(EmpiricalBernstein(), mean_of(np.array([0.5])))).all()
    assert np.isfinite(ends(EmpiricalBernstein(), mean_of(np.array([0.5, 0.6])))).all()


@pytest.mark.parametrize("odd", [2, 50])
def test_bernsteins_bound_says_nothing_of_ratios_of_sums_however_few_of_the_rounds_weigh_otherwise(odd: int) -> None:
    x = np.random.default_rng(4).random(50)
    rounds = mean_of(x)
    weighed = replace(rounds, denominator=np.where(np.arange(50) < odd, 2.0, 1.0))
    assert np.isnan(ends(EmpiricalBernstein(), weighed)).all()
    assert np.isnan(ends(EmpiricalBernstein(), weighed, rounds)).all()
    assert np.isfinite(ends(EmpiricalBernstein(), rounds)).all()


@pytest.mark.parametrize("make", EVERY)
def test_without_rounds_nothing_can_be_said(make: Callable[[], Interval]) -> None:
    low, high = ends(make())
    assert (math.isnan(low) and math.isnan(high)) or (low, high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("freedom", "wanted"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (29, 2.045), (120, 1.980)]
)  # a table of Student's t, two-sided 5%
def test_quantiles_are_those_of_the_table(freedom: int, wanted: float) -> None:
    x = np.random.default_rng(4).random(freedom + 1)
    low, high = ends(Normal(), mean_of(x))
    stderr = x.std(ddof=1) / math.sqrt(freedom + 1)
    assert (high - low) / 2 / stderr == pytest.approx(wanted, rel=0.003)


def test_two_sessions_give_the_same_interval_as_two_seeds() -> None:
    x = np.array([0.2, 0.7])
    seeds = mean_interval(x)
    assert ends(Normal(), mean_of(x)) == pytest.approx((seeds.low, seeds.high))


def test_the_normal_interval_is_the_textbook_one() -> None:
    x = np.random.default_rng(4).random(49)
    reach = student_t(48) * x.std(ddof=1) / 7
    assert ends(Normal(), mean_of(x)) == pytest.approx((x.mean() - reach, x.mean() + reach))


def test_weights_are_poisson_and_know_neither_each_other_nor_the_order() -> None:
    index = np.arange(2000.0)
    weights = poisson_weights(index, replicates=203, seed=5)
    assert weights.shape == (203, 2000)
    for count, wanted in enumerate([0.3679, 0.3679, 0.1839, 0.0613]):
        assert (weights == count).mean() == pytest.approx(wanted, abs=0.003)
    assert np.abs(np.corrcoef(weights)[~np.eye(203, dtype=bool)]).max() < 0.12
    assert poisson_weights(index[[7, 3]], replicates=203, seed=5).tolist() == weights[:, [7, 3]].tolist()
    assert poisson_weights(index, replicates=203, seed=6).tolist() != weights.tolist()


def test_the_bootstrap_agrees_with_the_normal_interval_where_that_is_right() -> None:
    x = mean_of(np.random.default_rng(6).random(20_000))
    normal, resampled = ends(Normal(), x), ends(ClusteredBootstrap(replicates=2000), x)
    assert resampled == pytest.approx(normal, abs=0.0008)
    assert ends(ClusteredBootstrap(seed=1), x) == ends(ClusteredBootstrap(seed=1), x) != ends(ClusteredBootstrap(), x)


def test_the_bootstrap_of_skewed_values_reaches_further_to_the_side_of_the_tail() -> None:
    x = np.random.default_rng(7).exponential(size=100) ** 2
    low, high = ends(ClusteredBootstrap(replicates=2000), mean_of(x))
    assert high - x.mean() > 1.3 * (x.mean() - low)


def test_alike_values_leave_no_doubt_to_the_bootstrap_and_a_handful_of_sessions_too_much() -> None:
    assert ends(ClusteredBootstrap(), mean_of(np.full(50, 0.25))) == (0.25, 0.25)
    assert math.isnan(ends(ClusteredBootstrap(), mean_of(np.array([0.1, 0.9])))[0])
    with pytest.raises(ValueError, match="replicates must be >= 20"):
        ClusteredBootstrap(replicates=5)


def test_the_empirical_bernstein_interval_is_its_formula() -> None:
    x = np.array([0.0, 4.0, 1.0, 3.0])  # in [0, 4]: mean 2, variance 10/3
    tail = math.log(4 / 0.05)
    reach = math.sqrt(2 * (10 / 3) * tail / 4) + 7 * 4 * tail / (3 * 3)
    assert ends(EmpiricalBernstein(), mean_of(x, high=4.0)) == pytest.approx((2 - reach, 2 + reach))


def test_the_empirical_bernstein_interval_wants_bounds_and_no_ratio() -> None:
    x = np.random.default_rng(8).random(50)
    assert math.isnan(ends(EmpiricalBernstein(), mean_of(x, high=math.inf))[0])
    ratio = RoundValues(x, x, x, np.arange(50), 0.0, 1.0)
    assert math.isnan(ends(EmpiricalBernstein(), ratio)[0])
    with pytest.raises(ValueError, match=r"beyond the stated \[0\.0, 0\.1\]"):
        EmpiricalBernstein().add(mean_of(x, high=0.1))


@pytest.mark.parametrize("make", [Normal, ClusteredBootstrap])
def test_pseudo_rounds_widen_an_interval_where_nothing_varied_and_are_no_sessions(make: Callable[[], Interval]) -> None:
    interval = make()
    assert isinstance(interval, SteadiedInterval)
    interval.add(mean_of(np.ones(60)))
    interval.steady(pseudo_rounds(1.0, 1.0, [1.0] * 4))
    low, high = interval.interval()
    assert low < 0.95
    assert high >= 1.0
    alone = make()
    assert isinstance(alone, SteadiedInterval)
    alone.add(mean_of(np.ones(60), np.zeros(60)))
    alone.steady(pseudo_rounds(1.0, 1.0, [1.0] * 4))
    assert math.isnan(alone.interval()[0]), "one person stays one"


def test_pseudo_rounds_leave_two_people_one_degree_of_freedom() -> None:
    who = np.arange(400) // 200
    interval = Normal()
    interval.add(mean_of(np.where(who, 0.6, 0.5), who))
    plain = interval.interval()
    interval.steady(pseudo_rounds(0.55, 1.0, [1.0] * 4))
    low, high = interval.interval()
    assert plain[1] - plain[0] <= high - low < 1.05 * (plain[1] - plain[0])


def steadied(x: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the bootstrap's interval of a mean, and that after pseudo-rounds."""
    interval = ClusteredBootstrap()
    plain = ends(interval, mean_of(x))
    interval.steady(pseudo_rounds(float(x.mean()), 1.0, [1.0] * 4))
    return plain, interval.interval()


def test_pseudo_rounds_give_a_handful_of_people_no_interval_that_they_had_not_and_widen_one_that_they_had() -> None:
    unknown, still_unknown = steadied(np.array([0.1, 0.9]))
    assert np.isnan([*unknown, *still_unknown]).all()
    few, widened = steadied(np.array([0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.0, 0.9]))
    assert widened[0] < few[0] < few[1] < widened[1]
    ten, wide = steadied(np.array([0.0] + [1.0] * 9))
    assert wide[0] < ten[0] or math.isnan(ten[0])
    assert np.isfinite(wide).all()


def test_each_replicate_has_the_value_and_the_error_of_the_sessions_it_counts() -> None:
    rng, n = np.random.default_rng(9), 30
    numerators, denominators = rng.random(n), 0.5 + rng.random(n)
    interval = ClusteredBootstrap(replicates=20, seed=3)
    interval.add(RoundValues(numerators, denominators, ones(n), np.arange(n), 0.0, 1.0))
    value = numerators.sum() / denominators.sum()
    values, stderrs = interval._resampled(value)
    index, by_session, weighed = interval._sums.occupied()
    for count, found, stderr in zip(poisson_weights(index, replicates=20, seed=3), values, stderrs, strict=True):
        alone = (count * by_session).sum() / (count * weighed).sum()
        assert found == pytest.approx(alone)
        squares = (count * (by_session - alone * weighed) ** 2).sum()
        assert stderr == pytest.approx(math.sqrt(squares) / (count * weighed).sum())
