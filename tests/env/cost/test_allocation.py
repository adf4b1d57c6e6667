from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.cost.allocation import allocate
from highwayman.env.errors import BudgetExhausted

NAN = float("nan")
TWO = np.array([[0.5, 0.9], [0.5, 0.6], [0.5, 0.8]])  # what the dearer arm is better by: .4, .1, .3
PRICES = np.array([[0.001, 0.011]] * 3)


def test_the_prompts_that_gain_most_for_a_dollar_get_the_dearer_arm() -> None:
    allocation = allocate(TWO, PRICES, budget_usd=0.023)
    assert allocation.actions.tolist() == [1, 0, 1]
    assert allocation.expected_usd == pytest.approx(0.023)
    assert allocation.expected_quality == pytest.approx((0.9 + 0.5 + 0.8) / 3)
    assert allocation.price == pytest.approx(10.0)  # the next step up would bring .1 for $.01


def test_money_that_no_better_arm_is_left_for_is_not_spent() -> None:
    allocation = allocate(TWO, PRICES, budget_usd=1.0)
    assert allocation.actions.tolist() == [1, 1, 1]
    assert allocation.price == 0.0


def test_of_arms_that_are_as_good_the_cheaper_is_taken_and_of_equal_ones_the_first() -> None:
    quality, usd = np.full((1, 4), 0.5), np.array([[0.003, 0.002, 0.001, 0.001]])
    assert allocate(quality, usd, budget_usd=1.0).actions.tolist() == [2]


def test_of_equal_prompts_the_first_get_the_dearer_arm_as_far_as_the_money_goes() -> None:
    allocation = allocate(np.array([[0.5, 0.9]] * 5), np.array([[0.0, 0.25]] * 5), budget_usd=0.5)
    assert allocation.actions.tolist() == [1, 1, 0, 0, 0]


def test_steps_up_that_are_worth_the_same_are_taken_one_after_the_other() -> None:
    quality, usd = np.array([[0.0, 0.25, 0.5]] * 3), np.array([[0.0, 1.0, 2.0]] * 3)
    assert allocate(quality, usd, budget_usd=5.0).expected_usd == 5.0


def test_what_does_not_fit_makes_room_for_what_does() -> None:
    quality, usd = np.array([[0.0, 1.0], [0.0, 0.1]]), np.array([[0.0, 10.0], [0.0, 2.0]])
    assert allocate(quality, usd, budget_usd=5.0).actions.tolist() == [0, 1]


def test_a_margin_is_kept_back() -> None:
    assert allocate(TWO, PRICES, budget_usd=0.023, margin=0.4).actions.tolist() == [1, 0, 0]


def test_an_arm_without_a_price_takes_no_part() -> None:
    usd = PRICES.copy()
    usd[0, 1] = NAN
    assert allocate(TWO, usd, budget_usd=1.0).actions.tolist() == [0, 1, 1]


def test_a_budget_that_the_cheapest_arms_pass_is_refused_with_what_they_cost() -> None:
    with pytest.raises(BudgetExhausted, match=r"\$0.002 does not pay for 3 prompts: the cheapest .* comes to \$0.003"):
        allocate(TWO, PRICES, budget_usd=0.002)
    with pytest.raises(BudgetExhausted, match=r"\$0.004 less the margin of 50% does not pay"):
        allocate(TWO, PRICES, budget_usd=0.004, margin=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget_usd": -1.0}, "budget_usd must be a number >= 0, got -1.0"),
        ({"margin": 1.0}, r"margin must be in \[0, 1\), got 1.0"),
        ({"usd": np.full((3, 2), -1.0)}, "usd must be numbers >= 0"),
        ({"usd": np.ones((2, 2))}, r"must both be \(n, K\), got \(3, 2\) and \(2, 2\)"),
        ({"quality": np.full((3, 2), NAN)}, "quality must be numbers"),
        ({"usd": np.array([[1.0, 1.0], [NAN, NAN], [1.0, 1.0]])}, "prompt 1 has no arm"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        allocate(**{"quality": TWO, "usd": PRICES, "budget_usd": 1.0, **changes})  # type: ignore[arg-type]


amounts = st.floats(0.0, 1.0, allow_subnormal=False).map(lambda amount: round(amount, 3))


@given(
    st.lists(st.tuples(*[st.tuples(amounts, amounts)] * 3), min_size=1, max_size=4),
    st.floats(0.0, 2.0),
)
def test_no_allocation_within_the_budget_is_better_by_more_than_one_prompt(
    prompts: list[tuple[tuple[float, float], ...]], beyond: float
) -> None:
    quality, usd = np.moveaxis(np.array(prompts), 2, 0)
    rows = np.arange(len(quality))
    budget_usd = float(usd.min(axis=1).sum()) + beyond
    allocation = allocate(quality, usd, budget_usd=budget_usd)
    assert allocation.expected_usd <= budget_usd + 1e-12
    every = [np.array(actions) for actions in product(range(3), repeat=len(rows))]
    affordable = [quality[rows, actions].sum() for actions in every if usd[rows, actions].sum() <= budget_usd]
    worst_loss = (quality.max(axis=1) - quality.min(axis=1)).max()
    assert allocation.expected_quality * len(rows) >= max(affordable, default=0.0) - worst_loss - 1e-9
