from dataclasses import replace

import pytest

from highwayman.env.cost.token_fit import TokenFit
from highwayman.env.cost.usage import (
    ExpectedAnswer,
    TokenUse,
    cost_usd,
    energy_wh,
    estimate_call,
    expected_prompt_tokens,
)
from highwayman.env.types import Arm, Profile, Usage


def arm(usd_in: float | None = 0.5, usd_out: float | None = 2.0, profile: Profile | None = None) -> Arm:
    return Arm("a", ("http://h:1",), "m", usd_in, usd_out, 4096, profile=profile or Profile())


def test_a_call_costs_its_tokens_at_the_price_per_million() -> None:
    # 1000 * $0.50 / M + 200 * $2 / M
    assert cost_usd(arm(), Usage(1000, 200)) == pytest.approx(0.0005 + 0.0004)


def test_tokens_that_the_prompt_cache_held_cost_their_own_price_where_there_is_one() -> None:
    usage = Usage(1000, 200, tokens_cached=900)
    assert cost_usd(arm(), usage) == pytest.approx((1000 * 0.5 + 200 * 2.0) / 1e6)
    assert cost_usd(replace(arm(), usd_per_mtok_cached_in=0.1), usage) == pytest.approx((50 + 90 + 400) / 1e6)


def test_a_call_takes_its_tokens_watt_hours_but_for_those_that_the_prompt_cache_held() -> None:
    metered = replace(arm(), wh_per_mtok=200.0)
    assert energy_wh(metered, Usage(1000, 200, tokens_cached=700)) == pytest.approx(500 * 200.0 / 1e6)
    assert energy_wh(arm(), Usage(1000, 200)) is None


def test_a_free_arm_costs_nothing_and_an_unpriced_one_nobody_knows_what() -> None:
    assert cost_usd(arm(0.0, 0.0), Usage(1000, 200)) == 0.0
    for unpriced in (arm(None, 2.0), arm(0.5, None), arm(None, None)):
        assert cost_usd(unpriced, Usage(1000, 200)) is None
        assert estimate_call(unpriced, TokenUse(), prompt_tokens=10).usd is None


@pytest.mark.parametrize(
    ("asked", "ceiling", "tokens_out"), [(None, None, 256), (100, None, 100), (9000, None, 256), (100, 50, 50)]
)
def test_before_any_call_the_answer_is_guessed_within_the_limits(
    asked: int | None, ceiling: int | None, tokens_out: int
) -> None:
    expected = estimate_call(arm(profile=Profile(max_tokens=ceiling)), TokenUse(), prompt_tokens=1000, max_tokens=asked)
    assert expected.usd == pytest.approx((1000 * 0.5 + tokens_out * 2.0) / 1e6)


def test_five_answers_are_expected_to_write_five_times_as_much() -> None:
    expected = estimate_call(arm(0.0, 2.0, Profile(best_of=5)), TokenUse(), prompt_tokens=1000, max_tokens=100)
    assert expected.usd == pytest.approx(500 * 2.0 / 1e6)


def test_finished_calls_outweigh_the_guess_by_their_number() -> None:
    # 3 calls wrote 1000 each and read 40 beyond the prompt each; the guess of 256 counts as a fourth call.
    use = TokenUse(calls=3, overhead_tokens=120.0, tokens_out=3000.0)
    expected = estimate_call(arm(), use, prompt_tokens=1000)
    assert expected.usd == pytest.approx(((1000 + 120 / 4) * 0.5 + (3000 + 256) / 4 * 2.0) / 1e6)


def test_no_answer_is_expected_to_be_longer_than_the_caller_or_the_profile_lets_it_be() -> None:
    use, answer = TokenUse(calls=90, tokens_out=90 * 800.0), ExpectedAnswer(90, 800.0, None)
    for known in (None, answer):
        for limited, asked in ((arm(usd_in=0.0), 10), (arm(0.0, 2.0, Profile(max_tokens=10)), None)):
            expected = estimate_call(limited, use, prompt_tokens=100, max_tokens=asked, answer=known)
            assert expected.usd == pytest.approx(10 * 2.0 / 1e6)
        samples = estimate_call(arm(0.0, 2.0, Profile(best_of=5)), use, prompt_tokens=100, max_tokens=10, answer=known)
        assert samples.usd == pytest.approx(50 * 2.0 / 1e6)


def test_what_is_predicted_for_a_prompt_counts_for_more_than_the_average() -> None:
    use = TokenUse(calls=90, tokens_out=90 * 800.0, latency_s=90 * 3.0)
    expected = estimate_call(arm(0.0), use, prompt_tokens=100, answer=ExpectedAnswer(90, 50.0, 0.5))
    assert (expected.usd, expected.latency_s) == (pytest.approx(50 * 2.0 / 1e6), 0.5)
    fresh = estimate_call(arm(0.0, 2.0, Profile(best_of=3)), use, prompt_tokens=1, answer=ExpectedAnswer(0, 50.0, None))
    assert (fresh.usd, fresh.latency_s) == (pytest.approx(150 * 2.0 / 1e6), None)


def test_a_prompt_is_never_expected_to_have_less_than_one_token() -> None:
    use = TokenUse(calls=9, overhead_tokens=-5000.0, tokens_out=0.0)  # estimates that were far too high
    expected = estimate_call(arm(usd_out=0.0), use, prompt_tokens=100)
    assert expected.usd == pytest.approx(1 * 0.5 / 1e6)


def learned(ratio: float, overhead: float = 0.0) -> TokenFit:
    fit = TokenFit()
    for estimated in (50, 500, 5_000) * 30:
        fit = fit.plus(estimated, overhead + ratio * estimated)
    return fit


def test_a_prompt_is_priced_by_the_arms_own_tokenizer_and_script() -> None:
    use = TokenUse(calls=90, overhead_tokens=9e9, fits={"": learned(1.0), "arabic": learned(2.0)})
    latin = estimate_call(arm(usd_out=0.0), use, prompt_tokens=10_000)
    arabic = estimate_call(arm(usd_out=0.0), use, prompt_tokens=10_000, script="arabic")
    assert latin.usd == pytest.approx(10_000 * 0.5 / 1e6, rel=0.02)
    assert arabic.usd == pytest.approx(20_000 * 0.5 / 1e6, rel=0.02)


def test_what_an_arm_puts_before_a_prompt_counts_before_and_after_it_has_told() -> None:
    wordy = arm(profile=Profile(system="Be brief. " * 420))  # about a thousand tokens
    assert expected_prompt_tokens(wordy, TokenUse(), prompt_tokens=100) == 1_100
    told = TokenUse(calls=90, fits={"": learned(1.0, overhead=1_500)})
    assert expected_prompt_tokens(wordy, told, prompt_tokens=100) == pytest.approx(1_600, rel=0.02)
    assert expected_prompt_tokens(wordy, told, prompt_tokens=100, script="greek") == pytest.approx(1_600, rel=0.02)


def test_five_samples_read_a_prompt_five_times_and_each_must_fit_the_window_once() -> None:
    five = arm(profile=Profile(best_of=5))
    use = TokenUse(calls=90, fits={"": learned(5.0)})
    for known in (TokenUse(), use):
        assert expected_prompt_tokens(five, known, prompt_tokens=1_000) == pytest.approx(1_000, rel=0.02)
    assert estimate_call(arm(0.5, 0.0, Profile(best_of=5)), use, prompt_tokens=1_000).usd == pytest.approx(
        0.0025, rel=0.02
    )


def test_an_arm_that_reported_nonsense_still_gets_short_prompts() -> None:
    nonsense = TokenUse(calls=5, fits={"": TokenFit().plus(20, 2**70).plus(20, 2**70)})
    assert expected_prompt_tokens(arm(), nonsense, prompt_tokens=100) < 4_096
