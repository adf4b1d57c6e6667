import pytest

from highwayman.env.cost.usage import TokenUse, cost_usd, estimate_call
from highwayman.env.types import Arm, Profile, Usage


def arm(usd_in: float | None = 0.5, usd_out: float | None = 2.0, profile: Profile | None = None) -> Arm:
    return Arm("a", ("http://h:1",), "m", usd_in, usd_out, 4096, profile=profile or Profile())


def test_a_call_costs_its_tokens_at_the_price_per_million() -> None:
    # 1000 * $0.50 / M + 200 * $2 / M
    assert cost_usd(arm(), Usage(1000, 200)) == pytest.approx(0.0005 + 0.0004)


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


def test_a_prompt_is_never_expected_to_have_less_than_one_token() -> None:
    use = TokenUse(calls=9, overhead_tokens=-5000.0, tokens_out=0.0)  # estimates that were far too high
    expected = estimate_call(arm(usd_out=0.0), use, prompt_tokens=100)
    assert expected.usd == pytest.approx(1 * 0.5 / 1e6)
