from dataclasses import replace

import numpy as np
import pytest

from benchmarks.calibration import FLIP, judged, ranked, world
from highwayman.feedback.calibration.correction import fit_correction
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.ppi import _points, _predictions, naive_mean, pooled_quality, ppi_estimates
from highwayman.feedback.calibration.response_rates import ResponseRates, estimate_response_rates

Answer = tuple[int, float, bool | None]


def test_with_a_thumb_on_every_answer_the_estimate_is_their_mean() -> None:
    rows = [(0, 0.3, True), (0, 0.8, True), (0, 0.1, False), (0, 0.9, True)]
    cells = CountTable.from_answers(["a"], rows)
    sure = ResponseRates(1.0, 1.0, 0.0, identified=True, influence=np.zeros(2))
    found = ppi_estimates(cells, sure)
    assert found.value == pytest.approx([0.75])
    assert found.stderr == pytest.approx([np.sqrt(0.75 * 0.25 / 4)])


def test_a_few_thumbs_that_agree_are_not_taken_for_certain() -> None:
    rows = [(0, 0.1, True)] * 3
    sure = ResponseRates(1.0, 1.0, 0.0, identified=True, influence=np.zeros(2))
    found = ppi_estimates(CountTable.from_answers(["a"], rows), sure)
    assert found.value == pytest.approx([1.0])
    assert found.stderr == pytest.approx([np.sqrt(5 / 7 * 2 / 7 / 7)])


def certain(good: float, bad: float, flip: float = 0.0) -> ResponseRates:
    return ResponseRates(good, bad, flip, identified=True, influence=np.zeros(2))


def answers(arm: int, score: float, *, ups: int = 0, downs: int = 0, none: int = 0) -> list[Answer]:
    return [(arm, score, thumb) for thumb, n in ((True, ups), (False, downs), (None, none)) for _ in range(n)]


def test_what_a_score_means_is_what_its_thumbs_stand_for_and_a_little_of_what_all_do() -> None:
    cells = CountTable.from_answers(
        ["a", "b"], [*answers(0, 0.05, ups=2, downs=16, none=400), *answers(1, 0.95, ups=8, downs=4)]
    )
    # Ups stand for ten answers each, downs for five: 20 good and 80 bad, 80 and 20; fifty more are half and half.
    meaning = pooled_quality(cells, certain(0.1, 0.2))
    assert meaning[0] == pytest.approx((20 + 25) / 150)
    assert meaning[9] == pytest.approx((80 + 25) / 150)
    flipped = pooled_quality(cells, certain(0.1, 0.2, flip=0.25))
    good, bad = (0.75 * 8 - 0.25 * 4) / 0.1, (0.75 * 4 - 0.25 * 8) / 0.2
    whole = good / (good + bad + max(0.75 * 16 - 0.25 * 2, 0) / 0.2)  # of the low scores none is taken for good
    assert flipped[9] == pytest.approx((good + 50 * whole) / (good + bad + 50))


def test_a_higher_score_never_means_less_whatever_a_few_thumbs_say() -> None:
    cells = CountTable.from_answers(["a"], [*answers(0, 0.15, ups=30, downs=30), *answers(0, 0.55, ups=2, downs=8)])
    meaning = pooled_quality(cells, certain(0.5, 0.5))
    assert (np.diff(meaning) >= 0).all()
    alone = [(60 + 10 * 64 / 140) / 130, (4 + 10 * 64 / 140) / 30]
    assert (
        meaning[1]
        == meaning[5]
        == pytest.approx(
            (70 * alone[0] + 20 * alone[1] + 40 * 64 / 140) / 130  # by answers, and ten more to each of six scores
        )
    )


def test_without_thumbs_every_score_means_half() -> None:
    assert (
        pooled_quality(CountTable.from_answers(["a"], answers(0, 0.3, none=9)), certain(0.1, 0.1)).tolist()
        == [0.5] * 10
    )


def test_the_plain_average_is_over_scores_and_thumbs_alike() -> None:
    cells = CountTable.from_answers(["a", "b"], [*answers(0, 0.25, ups=1, downs=2, none=1), *answers(1, 0.5, none=2)])
    assert naive_mean(cells) == pytest.approx([(4 * 0.25 + 1) / 7, 0.5])


def test_an_interval_is_never_narrower_than_that_of_its_thumbs_with_two_more_of_each() -> None:
    cells = CountTable.from_answers(["a"], answers(0, 0.15, ups=3))
    found = ppi_estimates(cells, certain(1.0, 1.0))
    assert found.stderr == pytest.approx([np.sqrt(5 / 7 * 2 / 7 / 7)])
    assert found.high - found.value == pytest.approx(1.96 * found.stderr, rel=1e-4)
    assert found.value - found.low == pytest.approx(1.96 * found.stderr, rel=1e-4)


def test_rates_that_cannot_be_told_may_be_four_times_apart_either_way() -> None:
    cells = CountTable.from_answers(["a"], answers(0, 0.5, ups=300, downs=300, none=5400))
    known = ppi_estimates(cells, certain(0.1, 0.1))
    unsure = ppi_estimates(cells, replace(certain(0.1, 0.1), identified=False))
    # Were good answers half as loud and bad ones twice, 6,000 and 1,500 of 7,500 would be good; by the slope, so much:
    more = np.sqrt(unsure.stderr**2 - known.stderr**2)
    assert more == pytest.approx([np.log(4.0) / 1.96 / 4.0], rel=0.02)  # of a share, p (1 - p) to a log's change


def tables() -> CountTable:
    rng = np.random.default_rng(8)
    scored = rng.integers(2_000, 4_000, (3, 10)).astype(float)
    quality = np.clip(np.linspace(0.1, 0.9, 10) + np.array([[-0.1], [0.0], [0.1]]), 0, 1)
    ups, downs = scored * quality * 0.1, scored * (1 - quality) * 0.2
    return CountTable(("a", "b", "c"), scored, scored * 0.5, np.round(ups), np.round(downs))


def test_what_one_more_answer_moves_an_estimate_by_makes_up_its_interval() -> None:
    cells, known = tables(), certain(0.1, 0.2, flip=0.05)
    found = ppi_estimates(cells, known)
    variance = np.zeros(3)
    for place in range(10):
        kinds = ((cells.ups, 2), (cells.downs, 3), (cells.scored - cells.ups - cells.downs, None))
        for count, field in kinds:
            moved = [sums.copy() for sums in (cells.scored, cells.score, cells.ups, cells.downs)]
            moved[0][:, place] += 1.0
            if field is not None:
                moved[field][:, place] += 1.0
            more = ppi_estimates(CountTable(cells.arms, *moved), known).value - found.value
            variance += count[:, place] * more**2
    assert found.covariance == pytest.approx(np.diag(variance), rel=0.1, abs=1e-12)
    assert (found.stderr >= 0.999 * np.sqrt(np.diag(found.covariance))).all()


def test_an_estimate_moves_with_the_rates_as_its_interval_takes_it_to() -> None:
    cells = tables()
    spread = np.zeros((1, 10, 3, 2))
    spread[0, 4, 0] = (0.01, -0.02)  # of one kind of answer alone, what the rates are known by
    unsure = ppi_estimates(cells, replace(certain(0.1, 0.2), influence=spread))
    sure = ppi_estimates(cells, certain(0.1, 0.2))
    moved = (
        ppi_estimates(cells, certain(0.1 * np.exp(1e-4), 0.2 * np.exp(-2e-4))).value
        - ppi_estimates(cells, certain(0.1 * np.exp(-1e-4), 0.2 * np.exp(2e-4))).value
    ) / 2e-4 * 0.01  # fmt: skip
    share = cells.ups[:, 4]
    assert np.diag(unsure.covariance - sure.covariance) == pytest.approx(share.sum() * moved**2, rel=0.05)


def test_thumbs_that_are_given_selectively_count_by_the_inverse_of_their_chance() -> None:
    rows = [(0, 0.5, True)] * 3 + [(0, 0.5, False)] * 4 + [(0, 0.5, None)] * 993
    known = ResponseRates(0.005, 0.01, 0.0, identified=True, influence=np.zeros(2))
    # 3 ups are 600 good answers, 4 downs 400 bad ones.
    assert ppi_estimates(CountTable.from_answers(["a"], rows), known).value == pytest.approx([0.6])


def test_thumbs_and_scores_rank_the_arms_where_the_plain_average_does_not_and_their_intervals_cover() -> None:
    right = wrong = 0
    covered, width, alone = [], [], []
    for seed in range(40):
        drawn = world(np.random.default_rng(1000 + seed), arms=4, answers=8000, gap=0.08)
        found = ppi_estimates(drawn.cells, estimate_response_rates(drawn.cells, flip=FLIP))
        plain = drawn.cells.without_scores()
        thumbs = ppi_estimates(plain, estimate_response_rates(plain, flip=FLIP))
        right += ranked(found.value)
        wrong += not ranked(naive_mean(drawn.cells))
        covered.append(((found.low <= drawn.quality) & (drawn.quality <= found.high)).mean())
        width.append((found.high - found.low).mean())
        alone.append((thumbs.high - thumbs.low).mean())
        assert not ((judged(drawn.cells).low <= drawn.quality) & (drawn.quality <= judged(drawn.cells).high)).any()
    assert right >= 37
    assert wrong == 40
    assert np.mean(covered) >= 0.9
    assert np.mean(width) < 0.6 * np.mean(alone)


def test_an_arm_whose_users_give_more_thumbs_of_both_kinds_is_ranked_by_what_they_say() -> None:
    right, covered = 0, []
    for seed in range(6):
        drawn = world(np.random.default_rng(seed), arms=4, answers=8000, gap=0.08, louder=3.0)
        found = ppi_estimates(drawn.cells, estimate_response_rates(drawn.cells, flip=FLIP))
        right += ranked(found.value)
        covered.append(((found.low <= drawn.quality) & (drawn.quality <= found.high)).mean())
    assert right >= 5
    assert np.mean(covered) >= 0.8


def test_where_the_rates_of_giving_cannot_be_told_intervals_allow_for_it() -> None:
    covered = []
    for seed in range(60):
        drawn = world(np.random.default_rng(seed), arms=4, answers=500, gap=0.08)
        known = estimate_response_rates(drawn.cells, flip=FLIP)
        found = ppi_estimates(drawn.cells, known)
        covered.append(((found.low <= drawn.quality) & (drawn.quality <= found.high)).mean())
        sure = replace(known, identified=True)
        assert (found.stderr >= ppi_estimates(drawn.cells, sure).stderr).all()
    assert np.mean(covered) >= 0.9


def test_a_corrected_score_says_of_every_arm_what_its_answers_are_worth() -> None:
    drawn = world(np.random.default_rng(7), arms=4, answers=20_000, gap=0.08)
    made = fit_correction(drawn.cells, {}, flip=FLIP)
    assert made is not None
    for k, arm in enumerate(drawn.cells.arms):
        counts = drawn.cells.scored[k]
        worths = [made.calibrate(arm, (b + 0.5) / 10, kind=0) for b in range(10)]
        mean = sum(one.quality * n for one, n in zip(worths, counts, strict=True) if one is not None) / counts.sum()
        assert mean == pytest.approx(drawn.quality[k], abs=0.06)
        assert all(one is not None and 0 < one.weight < 0.2 for one in worths)
    assert made.calibrate("unheard-of", 0.5, kind=0) is None


def test_a_kind_of_query_on_which_the_judge_errs_is_corrected_by_itself() -> None:
    rng = np.random.default_rng(3)

    def rows(n: int, quality: float, shift: float) -> list[tuple[int, float, bool | None]]:
        good = rng.random(n) < quality
        score = np.clip(0.3 + 0.4 * good + shift + rng.normal(0, 0.1, n), 0, 1)
        given = rng.random(n) < 0.2
        return [(0, float(s), bool(g) if t else None) for s, g, t in zip(score, good, given, strict=True)]

    parts = {0: rows(6000, 0.6, 0.0), 1: rows(6000, 0.6, 0.15)}
    kinds = {kind: CountTable.from_answers(["a"], one) for kind, one in parts.items()}
    made = fit_correction(CountTable.from_answers(["a"], parts[0] + parts[1]), kinds, flip=0.0)
    assert made is not None
    lenient, strict = made.calibrate("a", 0.45, kind=1), made.calibrate("a", 0.45, kind=0)
    assert lenient is not None
    assert strict is not None
    assert lenient.quality < strict.quality


def test_weights_of_thumbs_are_one_on_average_clipped_and_larger_for_the_rarer_kind() -> None:
    drawn = world(np.random.default_rng(5), arms=4, answers=8000, gap=0.08)
    made = fit_correction(drawn.cells, {}, flip=FLIP)
    assert made is not None
    up, down = made.thumb_weight(up=True, clip=10.0), made.thumb_weight(up=False, clip=10.0)
    assert up > 1.0 > down
    ups, downs = drawn.cells.ups.sum(), drawn.cells.downs.sum()
    assert (ups * up + downs * down) / (ups + downs) == pytest.approx(1.0, abs=0.15)
    assert made.thumb_weight(up=True, clip=1.2) == pytest.approx(1.2)


def test_without_thumbs_there_is_nothing_to_correct_by() -> None:
    assert fit_correction(CountTable.from_answers(["a"], [(0, 0.5, None)] * 100), {}, flip=0.1) is None


@pytest.mark.parametrize("flip", [0.0, 0.1])
def test_a_score_is_taken_for_the_quality_from_which_its_thumbs_lie_off_least(flip: float) -> None:
    rates, quality = ResponseRates(0.02, 0.06, flip, True, np.zeros(2)), np.array([0.1, 0.5, 0.8])
    bad, good = rates.outcome_probs()
    grid = np.linspace(0.0, 1.0, 1001)
    points = _points(grid, rates.good, rates.bad, flip)  # (1001, 3)
    for share, found in zip(quality, _predictions(quality, rates), strict=True):
        chances = (1 - share) * bad + share * good
        assert points @ chances == pytest.approx(np.full(1001, share)), "right on average, whatever it is taken for"
        assert found == pytest.approx(grid[((points - share) ** 2 @ chances).argmin()], abs=1e-3)
