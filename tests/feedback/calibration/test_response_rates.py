from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.calibration import FLIP, Drawn, world
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.response_rates import estimate_response_rates, flip_rate, outcome_probs


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


@pytest.mark.parametrize("flip", [-0.1, 0.5, float("nan")])
def test_a_flip_rate_out_of_range_is_refused(flip: float) -> None:
    with pytest.raises(ValueError, match=r"flip must be in \[0, 0.5\)"):
        estimate_response_rates(CountTable.from_answers(["a"], []), flip=flip)
