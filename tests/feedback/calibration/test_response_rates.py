from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from benchmarks.calibration import FLIP, Drawn, world
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.response_rates import _Fit, estimate_response_rates, flip_rate, outcome_probs


def test_an_answers_chances_of_an_up_a_down_and_no_thumb_are_those_written_out_by_hand() -> None:
    bad, good = outcome_probs(0.02, 0.06, 0.1)
    assert good == pytest.approx([0.018, 0.002, 0.98])
    assert bad == pytest.approx([0.006, 0.054, 0.94])


def test_the_rates_of_giving_are_found_from_thumbs_that_nobody_told_were_selective() -> None:
    found = [estimate_response_rates(drawn.cells, flip=FLIP) for drawn in worlds(20)]
    truth = next(worlds(1))
    assert all(one.identified for one in found)
    assert np.mean([one.good for one in found]) == pytest.approx(truth.good, rel=0.05)
    assert np.mean([one.bad for one in found]) == pytest.approx(truth.bad, rel=0.08)


def worlds(count: int) -> Iterator[Drawn]:
    return (world(np.random.default_rng(seed), arms=4, answers=8000, gap=0.08) for seed in range(count))


def as_expected(
    good: float, bad: float, *, flip: float, answers: float = 1e6, quality: Sequence[float] = (0.1, 0.3, 0.6, 0.9),
    by_arm: bool = False,
) -> CountTable:  # fmt: skip
    """Counts that are exactly what these rates lead to, of scores, or arms, whose answers have such qualities."""
    chances = np.array(
        [(1 - q) * outcome_probs(good, bad, flip)[0] + q * outcome_probs(good, bad, flip)[1] for q in quality]
    )
    ups, downs, _ = answers * chances.T
    shape = (-1, 1) if by_arm else (1, -1)
    arms = tuple(map(str, range(len(quality)))) if by_arm else ("a",)
    scored = np.full(len(quality), answers)
    return CountTable(arms, *(sums.reshape(shape) for sums in (scored, 0.5 * scored, ups, downs)))


@pytest.mark.parametrize("by_arm", [False, True])
@pytest.mark.parametrize(("good", "bad", "flip"), [(0.02, 0.06, 0.1), (0.3, 0.1, 0.0), (0.05, 0.05, 0.2)])
def test_counts_that_are_exactly_what_some_rates_lead_to_give_these_back(
    good: float, bad: float, flip: float, by_arm: bool
) -> None:
    made = estimate_response_rates(as_expected(good, bad, flip=flip, by_arm=by_arm), flip=flip)
    assert made.identified
    assert (made.good, made.bad) == pytest.approx((good, bad), rel=2e-3)


@pytest.mark.parametrize(("good", "bad", "flip"), [(0.02, 0.06, 0.1), (0.3, 0.1, 0.0)])
def test_what_one_more_answer_moves_the_rates_by_is_its_influence(good: float, bad: float, flip: float) -> None:
    cells = as_expected(good, bad, flip=flip)
    made = estimate_response_rates(cells, flip=flip)
    more = 500.0  # of a million, and as many less: the estimate is all but linear in so few
    for place in range(4):
        for outcome, of_outcome in enumerate((cells.ups, cells.downs, None)):
            logs = []
            for sign in (1.0, -1.0):
                moved = [sums.copy() for sums in (cells.scored, cells.score, cells.ups, cells.downs)]
                moved[0][0, place] += sign * more
                if of_outcome is not None:
                    moved[2 + outcome][0, place] += sign * more
                new = estimate_response_rates(CountTable(("a",), *moved), flip=flip)
                logs.append(np.log([new.good, new.bad]))
            change = (logs[0] - logs[1]) / (2 * more)
            assert change == pytest.approx(made.influence[0, place, outcome], rel=0.05, abs=1e-7)


def test_few_thumbs_do_not_bias_the_rates() -> None:
    drawn = [world(np.random.default_rng(seed), arms=4, answers=1500, gap=0.08) for seed in range(150)]
    found = [(one, estimate_response_rates(one.cells, flip=FLIP)) for one in drawn]
    for name in ("good", "bad"):
        errors = [np.log(getattr(known, name) / getattr(one, name)) for one, known in found]
        assert abs(np.mean(errors)) < 0.04  # its standard error is about 0.015


def test_rates_that_do_not_depend_on_quality_are_found_to_be_alike() -> None:
    rng = np.random.default_rng(0)
    good = rng.random(40_000) < 0.6
    score = np.clip(0.3 + 0.4 * good + rng.normal(0, 0.2, len(good)), 0, 1)
    given = rng.random(len(good)) < 0.05
    rows = [(0, float(s), bool(g) if t else None) for s, g, t in zip(score, good, given, strict=True)]
    found = estimate_response_rates(CountTable.from_answers(["a"], rows), flip=0.0)
    assert found.bad / found.good == pytest.approx(1.0, abs=0.25)


def test_a_few_thumbs_tell_nothing_and_both_rates_are_the_overall_one() -> None:
    rows = [(0, k / 100, k % 2 == 0 if k < 10 else None) for k in range(100)]
    found = estimate_response_rates(CountTable.from_answers(["a"], rows), flip=0.1)
    assert not found.identified
    assert found.good == found.bad == pytest.approx(0.1)


def test_scores_that_say_nothing_of_quality_tell_nothing_of_giving() -> None:
    rng = np.random.default_rng(1)
    rows = [(0, float(rng.random()), bool(rng.random() < 0.6) if rng.random() < 0.05 else None) for _ in range(4000)]
    assert not estimate_response_rates(CountTable.from_answers(["a"], rows), flip=0.1).identified


def test_the_flip_rate_is_told_by_people_who_judged_the_same_answer() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(5000) < 0.1, rng.random(5000) < 0.1
    rate, stderr = flip_rate(float((first != second).sum()), 5000)
    assert abs(rate - 0.1) < 3 * stderr
    with pytest.raises(ValueError, match="at least one pair"):
        flip_rate(0, 0)


@pytest.mark.parametrize(
    ("disagreements", "rate", "stderr"),
    [(18.0, 0.1, np.sqrt(0.18 * 0.82 / 100) / 1.6), (0.0, 0.0, 0.0005), (-3.0, 0.0, 0.0005)],
)
def test_a_flip_rate_is_as_sure_as_the_pairs_it_is_told_by(disagreements: float, rate: float, stderr: float) -> None:
    assert flip_rate(disagreements, 100.0) == pytest.approx((rate, stderr))


@pytest.mark.parametrize("flip", [-0.1, 0.5, float("nan")])
def test_a_flip_rate_out_of_range_is_refused(flip: float) -> None:
    with pytest.raises(ValueError, match=r"flip must be in \[0, 0.5\)"):
        estimate_response_rates(CountTable.from_answers(["a"], []), flip=flip)


def test_of_too_few_thumbs_is_known_how_many_answers_get_one_and_of_no_answers_nothing() -> None:
    few = CountTable(("a",), *(np.array([[count]]) for count in (100.0, 50.0, 3.0, 1.0)))
    none = CountTable(("a",), *(np.zeros((1, 1)) for _ in range(4)))
    for cells, rate in ((few, 0.04), (none, 0.5)):
        made = estimate_response_rates(cells, flip=0.0)
        assert (made.good, made.bad, made.identified) == (rate, rate, False)
        assert not made.influence.any()


@pytest.mark.parametrize(("more", "apart"), [(0, False), (25, False), (30, True)])
def test_scores_tell_quality_apart_only_where_their_thumbs_differ_beyond_chance(more: int, apart: bool) -> None:
    ups, downs = ([500.0 + sign * more, 500.0 - sign * more] for sign in (1, -1))  # 25 are two standard deviations
    cells = CountTable(("a",), *(np.array([sums]) for sums in ([1e5, 1e5], [3e4, 7e4], ups, downs)))
    assert _Fit(cells, 0.0, 0.01)._spread() == apart
