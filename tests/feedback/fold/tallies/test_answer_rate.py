import pytest

from highwayman.feedback.fold.tallies.answer_rate import AnswerRate


def after(*answers: bool, every_s: float = 1.0) -> AnswerRate:
    """A rate after calls that ended one behind the other, the last at 1000."""
    rate = AnswerRate()
    for place, answered in enumerate(answers):
        rate = rate.plus(1000.0 - (len(answers) - 1 - place) * every_s, failed=not answered)
    return rate


def test_an_arm_of_which_nothing_is_known_answers() -> None:
    assert AnswerRate().chance(1e9) == 1.0


def test_one_failure_is_half_of_what_is_known_at_first_and_little_among_many_answers() -> None:
    assert after(False).chance(1000.0) == 0.5
    assert after(*[True] * 30, False, every_s=0.1).chance(1000.0) > 0.9


def test_an_arm_that_fails_whenever_it_is_asked_has_hardly_a_chance() -> None:
    assert after(*[False] * 20, every_s=0.1).chance(1000.0) < 0.1


def test_an_arm_that_fails_every_third_time_has_two_chances_in_three() -> None:
    assert after(*[True, True, False] * 30, every_s=0.1).chance(1000.0) == pytest.approx(2 / 3, abs=0.05)


def test_what_failed_is_forgotten_within_a_minute_though_nobody_asks() -> None:
    failed = after(*[False] * 20)
    chances = [failed.chance(1000.0 + later_s) for later_s in (0.0, 10.0, 30.0, 60.0)]
    assert chances == sorted(chances)
    assert chances[-1] > 0.8


def test_one_answer_after_rests_of_half_a_minute_gives_most_of_the_chance_back() -> None:
    assert after(*[False] * 9, True, every_s=30.0).chance(1000.0) > 0.9


def test_a_clock_that_is_behind_takes_nothing_back() -> None:
    rate = after(False)
    assert rate.chance(900.0) == rate.chance(1000.0)
    assert rate.plus(900.0, failed=True).at == 1000.0
