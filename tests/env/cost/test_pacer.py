import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.cost.pacer import Pacer
from highwayman.env.types import Floats

FLOOR = 0.02
ROUNDS = 2200


def spend(pacer: Pacer, quality: Floats, expected_usd: Floats, costs_usd: Floats, rng: np.random.Generator) -> Floats:
    """Return what each round cost, shape (n,), where the best arm after penalties is taken but for the floor."""
    spent = np.empty(len(quality))
    for t in range(len(quality)):
        may_run = np.flatnonzero(~pacer.over_budget(expected_usd))
        utility = (quality[t] - pacer.penalties(expected_usd))[may_run]
        arm = may_run[utility.argmax()] if rng.random() >= FLOOR else rng.choice(may_run)
        spent[t] = costs_usd[t, arm]
        pacer.charge(float(spent[t]), float(expected_usd[arm]))
    return spent


def market(seed: int) -> tuple[Floats, Floats, Floats, np.random.Generator]:
    """Return qualities (n, K), mean costs (K,) a factor 100 apart, metered costs (n, K) and a generator."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 9))
    logs = np.sort(np.concatenate([[0.0, math.log(100.0)], rng.uniform(0.0, math.log(100.0), k - 2)]))
    means = 1e-4 * np.exp(logs)
    usual = 0.45 + 0.4 * logs / logs[-1] + rng.normal(0.0, 0.08, k)
    quality = np.clip(usual + rng.normal(0.0, 0.25, (ROUNDS, 1)) + rng.normal(0.0, 0.2, (ROUNDS, k)), 0.0, 1.0)
    noise = np.exp(rng.normal(-0.125, 0.5, (ROUNDS, k)))
    return quality, means, means * noise, rng


def windows(spent: Floats, budget_usd: float) -> Floats:
    """Return the mean cost of windows of 500 rounds after the first 200, as a share of the budget."""
    return spent[200:].reshape(-1, 500).mean(axis=1) / budget_usd


@pytest.mark.parametrize("hard", [False, True])
def test_windows_stay_within_a_percent_of_ceilings_between_the_cheapest_and_the_dearest_arm(hard: bool) -> None:
    found = []
    for seed in range(12):
        quality, means, costs, rng = market(seed)
        budget_usd = float(rng.uniform(means[0] + 0.1 * (means[-1] - means[0]), means[-1]))
        found.append(windows(spend(Pacer(budget_usd, hard=hard), quality, means, costs, rng), budget_usd))
    assert (np.array(found) <= 1.01).mean() >= 0.95
    assert np.max(found) < 1.03


def test_hard_no_window_at_all_is_more_than_a_percent_above_the_ceiling() -> None:
    for seed in range(6):
        quality, means, costs, rng = market(seed)
        budget_usd = float(rng.uniform(means[0] + 0.02 * (means[-1] - means[0]), means[-1]))
        spent = spend(Pacer(budget_usd), quality, means, costs, rng)
        rolling = np.convolve(spent[200:], np.ones(500), mode="valid") / 500
        assert rolling.max() <= 1.01 * budget_usd


@pytest.mark.parametrize(("hard", "used"), [(False, 0.95), (True, 0.85)])  # hard keeps room for one call's overrun
def test_the_budget_is_used_where_dear_arms_are_worth_it(hard: bool, used: float) -> None:
    quality, means, costs, rng = market(3)
    quality[:, -1] = 1.0
    budget_usd = 0.2 * means[-1]
    assert spend(Pacer(budget_usd, hard=hard), quality, means, costs, rng)[200:].mean() > used * budget_usd


def test_a_ceiling_nobody_reaches_leaves_decisions_almost_alone() -> None:
    quality, means, costs, rng = market(4)
    pacer = Pacer(100 * means[-1])
    spend(pacer, quality, means, costs, rng)
    assert pacer.penalties(means).max() < 0.001


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(1.0, 50.0))
def test_hard_the_mean_never_exceeds_the_ceiling_where_calls_cost_what_was_expected(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    means = 1e-4 * np.exp(np.sort(rng.uniform(0.0, 4.6, 4)))
    budget_usd = float(means[0] * factor)
    spent = spend(Pacer(budget_usd, hard=True), rng.random((150, 4)), means, np.tile(means, (150, 1)), rng)
    assert (spent.cumsum() <= budget_usd * np.arange(1, 151) * (1 + 1e-9)).all()


def test_the_cheapest_arm_is_never_barred_nor_one_without_a_price() -> None:
    pacer = Pacer(1.0, hard=True)
    pacer.charge(50.0)
    assert pacer.over_budget(np.array([3.0, np.nan, 2.0, 9.0])).tolist() == [True, False, False, True]
    assert not pacer.over_budget(np.array([np.nan, np.nan])).any()
    assert not Pacer(1.0, hard=False).over_budget(np.array([1.0, 1e9])).any()


def test_an_arm_is_barred_until_enough_is_saved_for_the_most_that_its_call_may_cost() -> None:
    pacer, expected = Pacer(1.0, window=100), np.array([0.0, 2.0])  # at most 12 times as much, as long as it is unknown
    for _ in range(23):
        assert pacer.over_budget(expected).tolist() == [False, True]
        pacer.charge(0.0)
    assert pacer.over_budget(expected).tolist() == [False, False]
    assert pacer.over_budget(expected, under_way=[1.5]).tolist() == [False, True]


def test_how_much_more_a_call_may_cost_is_learned_for_arms_of_its_price() -> None:
    pacer, expected = Pacer(1.0, window=100), np.array([0.0, 2.0, 20.0])
    for _ in range(250):
        pacer.charge(0.3, 2.0)
        pacer.charge(0.0)
    assert pacer.over_budget(expected).tolist() == [
        False,
        False,
        True,
    ]  # 3 times 2 fit into what is left, 12 times 20 do not
    pacer.charge(50.0, 2.0)  # 25 times what was expected
    for _ in range(60):
        assert pacer.over_budget(expected).tolist() == [False, True, True]
        pacer.charge(0.0, 0.0)


def test_pressure_moves_by_the_mirror_step_and_weighs_with_cost() -> None:
    pacer = Pacer(0.5, step=0.1, margin=0.0)
    pacer.charge(2.0)  # three budgets too much
    assert pacer.pressure == pytest.approx(math.exp(0.3))
    pacer.charge(None)  # one too little
    assert pacer.pressure == pytest.approx(math.exp(0.2))
    assert pacer.penalties(np.array([1.0, 0.0])) == pytest.approx([2 * math.exp(0.2), 0.0])
    assert pacer.points_per_usd == pytest.approx(100 * 2 * math.exp(0.2))


def test_an_arm_whose_price_nobody_knows_carries_as_much_as_the_dearest_that_is_known() -> None:
    assert Pacer(0.5).penalties(np.array([1.0, np.nan, 0.0])) == pytest.approx([2.0, 2.0, 0.0])
    assert Pacer(0.5).penalties(np.array([np.nan, np.nan])).tolist() == [0.0, 0.0]


@given(st.lists(st.floats(0.0, 1e6), max_size=20))
def test_pressure_stays_between_its_ends_whatever_is_spent(costs: list[float]) -> None:
    pacer = Pacer(1.0)
    for cost in costs:
        pacer.charge(cost)
        assert 1e-4 <= pacer.pressure <= 100.0


def test_a_pacer_restored_from_its_state_goes_on_as_the_one_it_was() -> None:
    one = Pacer(1.0, hard=True)
    for cost in (0.2, 7.0, 0.1):
        one.charge(cost, 0.5)
    other = Pacer(1.0, hard=True).restore(json.loads(json.dumps(one.state())))
    expected = np.array([0.1, 1.0, 3.0])
    for cost in (3.0, 0.0, 0.5):
        one.charge(cost)
        other.charge(cost)
        assert other.state() == one.state()
        assert other.over_budget(expected).tolist() == one.over_budget(expected).tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pressure", math.nan),
        ("dearest_usd", None),
        ("dearest_usd", -1.0),
        ("recent_usd", [1.0, -1.0]),
        ("recent_usd", [math.inf, 1.0]),
        ("recent_usd", 3),
        ("overruns", {"0": [5, 0.5]}),
        ("overruns", {"0": [5]}),
        ("overruns", [1.0]),
    ],
)
def test_a_state_that_makes_no_sense_changes_nothing(name: str, value: object) -> None:
    pacer = Pacer(1.0, window=2)
    pacer.charge(3.0, 1.5)
    before = pacer.state()
    with pytest.raises(ValueError, match=f"pacer state: .*{name}"):
        pacer.restore({**before, "pressure": 2.0, name: value})
    assert pacer.state() == before


def test_senseless_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="budget_usd must be a number > 0, got 0"):
        Pacer(0.0)
    with pytest.raises(ValueError, match="step must be a number > 0"):
        Pacer(1.0, step=-1.0)
    with pytest.raises(ValueError, match=r"margin must be in \[0, 1\)"):
        Pacer(1.0, margin=1.0)
    with pytest.raises(ValueError, match=r"cost_usd must be a number >= 0 or None, got -0.1"):
        Pacer(1.0).charge(-0.1)


def test_soft_what_the_window_has_no_room_for_carries_a_unit_of_quality_besides() -> None:
    pacer, expected = Pacer(1.0, hard=False), np.array([0.01, 0.9, 1.1, np.nan])
    carried = pacer.penalties(expected) - pacer.pressure * np.array([0.01, 0.9, 1.1, 1.1])
    assert carried == pytest.approx([0.0, 0.0, 1.0, 1.0])
    pacer.set_target(1.0)  # a ceiling that moves with the day says nothing of windows
    assert pacer.penalties(expected) == pytest.approx(pacer.pressure * np.array([0.01, 0.9, 1.1, 1.1]))


def test_hard_one_dear_call_does_not_make_all_but_the_cheapest_too_dear_for_long() -> None:
    pacers = Pacer(1.0, hard=True), Pacer(1.0, hard=False)
    for _ in range(20):
        for pacer in pacers:
            for cost in (20.0, *[0.01] * 19):
                pacer.charge(cost, cost)
    moved = []
    for pacer in pacers:
        before = pacer.pressure
        pacer.charge(20.0, 20.0)
        moved.append(math.log(pacer.pressure / before))
    assert moved[1] == pytest.approx(0.1 * (20.0 / 0.98 - 1.0))
    assert moved[0] < 0.3 * moved[1]


def test_a_state_of_before_costs_squares_were_kept_is_read() -> None:
    state = Pacer(1.0).state()
    del state["squares"]
    assert Pacer(1.0).restore(state).state() == Pacer(1.0).state()


def test_hard_what_bars_keep_free_is_not_waited_for_so_the_price_decides_who_is_served() -> None:
    rng, cheap, dear = np.random.default_rng(0), 0.06, 2.2  # in budgets; the dear arm's calls cost up to 12 times that
    pacer, expected = Pacer(1.0), np.array([cheap, dear])
    gains, barred = rng.uniform(0.0, 0.2, 3000), []
    for gain in gains:
        is_barred = bool(pacer.over_budget(expected)[1])
        penalties = pacer.penalties(expected)
        arm = int(not is_barred and gain > penalties[1] - penalties[0])
        pacer.charge(float(expected[arm] * rng.lognormal(-0.18, 0.6)), float(expected[arm]))
        barred.append(is_barred)
    assert np.mean(barred[1000:]) < 0.2, "37% where the price aims at the ceiling itself"
    assert 0.06 < pacer.penalties(expected)[1] < 0.18, "the price that 43% of the calls are worth"


def test_the_dearest_call_carries_next_to_nothing_where_money_is_left_and_more_where_arms_are_barred() -> None:
    free, barring = Pacer(1.0), Pacer(1.0)
    for _ in range(1500):
        free.over_budget(np.array([0.1, 0.9]))
        barring.over_budget(np.array([0.1, 0.9, 900.0]))
        for pacer in (free, barring):
            pacer.charge(0.5, 0.5)
    carried = [float(pacer.penalties(np.array([0.5]))[0]) for pacer in (free, barring)]
    assert carried == pytest.approx([0.001, 0.01])


def test_soft_a_call_that_could_take_the_window_a_percent_over_carries_a_unit_besides() -> None:
    pacer, expected = Pacer(1.0, hard=False), np.array([0.0, 0.9])
    pacer.charge(9.0, 0.9)
    carried = []
    for _ in range(16):
        carried.append(float(pacer.penalties(expected)[1]) - 0.9 * pacer.pressure)
        pacer.charge(0.0)
    # After n calls for nothing there is room for n - 7: from 4 on, 9 are within a percent of the window's 500.
    assert carried == pytest.approx([1.0] * 11 + [0.0] * 5)
