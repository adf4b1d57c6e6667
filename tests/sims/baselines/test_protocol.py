"""What every baseline promises; a new file in sims/baselines is tested without being told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.sims.baselines.oracle import Oracle
from highwayman.sims.baselines.protocol import BaselineError, baseline_names, greedy_choices, load_baseline
from highwayman.sims.baselines.static_mixture import StaticMixture
from highwayman.sims.measures.value import value
from highwayman.sims.tables.table import FullTable

LEARNED = tuple(name for name in baseline_names() if hasattr(load_baseline(name), "predictions"))
NO_PENALTY = np.zeros(3)
SEEDS = st.integers(0, 2**32 - 1)


def world(seed: int, *, n: int = 60) -> tuple[FullTable, np.ndarray]:
    """Return a table of three arms, two of them specialists, and its contexts; every third text stands twice."""
    rng = np.random.default_rng(seed)
    texts = [f"prompt {row - 1 if row % 3 == 2 else row}" for row in range(n)]
    sides = np.array([side_of(text) for text in texts])
    chance = np.where(sides[:, None] > 0, [[0.9, 0.2, 0.5]], [[0.1, 0.8, 0.5]])
    quality = (rng.random((n, 3)) < chance).astype(float)
    table = FullTable.from_arrays(
        ("a", "b", "c"),
        quality,
        prompts=texts,
        tasks=["right" if side > 0 else "left" for side in sides],
        cost_usd=np.tile([0.003, 0.002, 0.001], (n, 1)),
    )
    return table, np.column_stack([sides, rng.normal(scale=0.1, size=n), np.ones(n)])


def side_of(text: str) -> float:
    return 1.0 if int(text.split()[1]) % 2 else -1.0


def test_the_eight_that_the_report_needs_are_found_by_the_names_of_their_files() -> None:
    needed = {"best_fixed", "cheapest", "knn", "oracle", "random", "ridge", "static_mixture", "task_mean"}
    assert needed <= set(baseline_names())
    assert set(LEARNED) >= {"knn", "ridge", "task_mean"}


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        BaselineError, match=r"no baseline 'knnn': give one of best_fixed, .*task_mean, or module:Class"
    ):
        load_baseline("knnn")
    with pytest.raises(BaselineError, match="Nothing"):
        load_baseline("highwayman.sims.baselines.oracle:Nothing")
    with pytest.raises(BaselineError, match="'knn': k must be >= 1, got 0"):
        load_baseline("knn", k=0)
    with pytest.raises(BaselineError, match="'oracle'"):
        load_baseline("oracle", k=3)


def test_ones_own_is_found_by_its_import_path() -> None:
    assert isinstance(load_baseline("highwayman.sims.baselines.oracle:Oracle"), Oracle)


@pytest.mark.parametrize("name", baseline_names())
@pytest.mark.parametrize("penalties", [NO_PENALTY, np.array([0.4, 0.1, 0.0]), np.tile([0.2, 0.1, 0.0], (60, 1))])
def test_choices_are_probabilities_and_repeat_with_the_seed(name: str, penalties: np.ndarray) -> None:
    table, contexts = world(0)
    found = load_baseline(name).choices(table, contexts, penalties, np.random.default_rng(3))
    again = load_baseline(name).choices(table, contexts, penalties, np.random.default_rng(3))
    assert found.shape == (60, 3)
    assert (found >= 0).all()
    assert found.sum(axis=1).tolist() == pytest.approx([1.0] * 60)
    assert found.tolist() == again.tolist()


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_no_baseline_earns_more_than_the_oracle(seed: int) -> None:
    table, contexts = world(seed, n=30)
    penalties = np.random.default_rng(seed).random(3) / 2
    earned = {
        name: value(
            table.quality, penalties, load_baseline(name).choices(table, contexts, penalties, np.random.default_rng(0))
        )
        for name in baseline_names()
    }
    assert max(earned.values()) <= earned["oracle"] + 1e-12
    assert earned["best_fixed"] >= max(earned["random"], earned["cheapest"]) - 1e-12
    assert earned["static_mixture"] == pytest.approx(earned["best_fixed"])


@given(SEEDS, st.floats(0.001, 0.005))
@settings(max_examples=30, deadline=None)
def test_a_mixture_is_never_worse_than_an_arm_the_budget_allows(seed: int, budget: float) -> None:
    table, _ = world(seed, n=30)
    costs = np.array(table.mean_costs(), dtype=float)
    budget = max(budget, float(costs.min()))
    mixture = StaticMixture(budget_usd=budget).mixture(table, NO_PENALTY)
    means = table.quality.mean(axis=0)
    assert mixture @ means >= means[costs <= budget].max() - 1e-9
    assert mixture @ costs <= budget + 1e-9


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_beats_the_best_fixed_arm_where_arms_are_specialists(name: str) -> None:
    table, contexts = world(1, n=300)
    choose = {one: load_baseline(one) for one in (name, "best_fixed")}
    rng = np.random.default_rng(0)
    earned = {
        one: value(table.quality, NO_PENALTY, choose[one].choices(table, contexts, NO_PENALTY, rng)) for one in choose
    }
    assert earned[name] > earned["best_fixed"] + 0.2


@pytest.mark.parametrize("name", LEARNED)
def test_a_prompts_own_outcome_teaches_nothing_about_it_or_its_twin(name: str) -> None:
    table, contexts = world(2)
    twins = [row for row, text in enumerate(table.prompts) if text == table.prompts[7]]
    other = table.quality.copy()
    other[twins] = 1.0 - other[twins]
    learned = load_baseline(name)
    before = learned.predictions(table, contexts, np.random.default_rng(5))
    after = learned.predictions(replace(table, quality=other), contexts, np.random.default_rng(5))
    assert len(twins) == 2
    assert before[twins].tolist() == after[twins].tolist()
    assert before.tolist() != after.tolist()


@pytest.mark.parametrize("name", LEARNED)
def test_penalties_need_no_relearning(name: str) -> None:
    table, contexts = world(3)
    penalties = np.array([0.5, 0.1, 0.0])
    learned = load_baseline(name)
    predicted = learned.predictions(table, contexts, np.random.default_rng(1))
    found = learned.choices(table, contexts, penalties, np.random.default_rng(1))
    assert found.tolist() == greedy_choices(predicted - penalties, table).tolist()


@pytest.mark.parametrize("name", LEARNED)
def test_a_single_prompt_cannot_be_cross_validated(name: str) -> None:
    table = FullTable.from_arrays(("a", "b", "c"), np.ones((4, 3)), prompts=["same"] * 4, tasks=["t"] * 4)
    with pytest.raises(BaselineError, match="two distinct prompts"):
        load_baseline(name).choices(table, np.ones((4, 3)), NO_PENALTY, np.random.default_rng(0))


def test_of_equally_good_arms_the_cheaper_is_taken_and_an_unpriced_one_last() -> None:
    table = FullTable.from_arrays(("x", "y", "z"), np.ones((1, 3)), cost_usd=np.array([[np.nan, 2.0, 1.0]]))
    assert greedy_choices(table.quality, table).tolist() == [[0.0, 0.0, 1.0]]
    assert greedy_choices(np.array([[1.0, 1.0, 0.0]]), table).tolist() == [[0.0, 1.0, 0.0]]
