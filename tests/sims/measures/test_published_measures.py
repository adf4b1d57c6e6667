"""The measures of RouterArena, RouterEval and LLMRouterBench, each on numbers that can be checked by hand."""

import math

import numpy as np
import pytest

from highwayman.sims.measures.llm_router_bench import router_bench_accuracy, router_bench_tradeoff
from highwayman.sims.measures.router_arena import arena_score, optimality
from highwayman.sims.measures.router_eval import router_eval_scores

QUALITY = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
COST = np.array([[1.0, 4.0], [1.0, 4.0], [1.0, 4.0], [1.0, 4.0]])
DEAR = np.tile([0.0, 1.0], (4, 1))


@pytest.mark.parametrize(
    ("accuracy", "usd", "score"),
    [(0.6809, 0.54, 66.66), (0.6688, 0.15, 66.89), (0.7396, 10.02, 64.32)],  # of Azure, MIRT-BERT, GPT-5 on its board
)
def test_the_arena_score_is_that_of_its_leaderboard(accuracy: float, usd: float, score: float) -> None:
    assert 100 * arena_score(accuracy, usd) == pytest.approx(score, abs=0.06)


def test_what_is_free_counts_as_the_cheapest_and_what_is_too_dear_for_nothing() -> None:
    assert arena_score(0.5, 0.0) == arena_score(0.5, 0.0044) == pytest.approx(1.1 * 0.5 / 1.05)
    assert arena_score(1.0, 1000.0) == arena_score(0.0, 1000.0) == 0.0
    with pytest.raises(ValueError, match="need accuracy in"):
        arena_score(1.5, 1.0)


def test_optimality_is_measured_where_some_arm_answers_right() -> None:
    reached = optimality(QUALITY, COST, DEAR)  # right on three prompts: the cheapest right arms are 0, 1 and 0
    assert (reached.selection, reached.cost, reached.accuracy) == (1 / 3, 6 / 12, 2 / 3)
    assert math.isnan(optimality(QUALITY * 0.5, COST, DEAR).selection)


def test_router_evals_scores_compare_with_the_best_candidate_and_a_reference() -> None:
    certain = router_eval_scores(QUALITY, DEAR, reference=0.8)
    assert (certain.mu, certain.v_b, certain.v_r, certain.e_p) == (0.5, 1.0, 0.625, 0.0)
    even = router_eval_scores(QUALITY, np.full((4, 2), 0.5))
    assert (even.mu, even.v_r, even.e_p) == (0.5, None, 1.0)


def test_datasets_count_alike_however_many_prompts_they_have() -> None:
    found = router_bench_accuracy(QUALITY, DEAR, ["a", "a", "a", "b"])
    assert found.accuracy == pytest.approx((2 / 3 + 0.0) / 2)
    assert found.over_random == pytest.approx((1 / 3) / ((0.5 + 0.5) / 2) - 1)
    assert found.over_max_expert == pytest.approx((1 / 3) / ((2 / 3 + 1) / 2) - 1)
    assert found.below_oracle == pytest.approx((1 / 3) / ((2 / 3 + 1) / 2) - 1)


def test_a_dial_is_compared_with_the_best_single_arm() -> None:
    quality, cost = np.array([0.5, 0.8, 0.88]), np.array([1.0, 2.0, 6.0])
    reached = router_bench_tradeoff(quality, cost, best_quality=0.8, best_cost=8.0)
    assert reached.performance_gain == pytest.approx(0.1)
    assert reached.cost_saving == pytest.approx(0.75)
    assert router_bench_tradeoff(quality, cost, best_quality=0.9, best_cost=8.0).cost_saving == 0.0
