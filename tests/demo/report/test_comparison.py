"""The comparison on rounds whose numbers a person can check."""

import numpy as np
import pytest

from highwayman.demo.report.comparison import bootstrap, compare
from highwayman.demo.report.curve import fixed_curve, learned_curve, random_curve
from highwayman.demo.report.words import kinds, verdict
from highwayman.demo.rounds import Round, Served

COSTS = {"cheap": 1e-6, "dear": 100e-6}


def served(arm: str, quality: float) -> Served:
    return Served(arm, quality, COSTS[arm], 0.1, "an answer")


def a_round(index: int, kind: str, chosen: str, qualities: dict[str, float], *, compared: bool = True) -> Round:
    every_arm = {arm: served(arm, quality) for arm, quality in qualities.items()}
    answers = every_arm if compared else {}
    return Round(index, kind, f"prompt {index}", "x", f"hw-{index}", 0.5, every_arm[chosen], answers)


def specialists(rounds: int = 40) -> list[Round]:
    """`cheap` is right on sums, `dear` on facts; the router always picks the right one."""
    sums = {"cheap": 1.0, "dear": 0.0}
    facts = {"cheap": 0.0, "dear": 1.0}
    return [a_round(i, "sums", "cheap", sums) if i % 2 else a_round(i, "facts", "dear", facts) for i in range(rounds)]


def test_rewards_are_quality_minus_the_mean_cost_at_so_many_points_per_dollar() -> None:
    found = compare(specialists(), ["cheap", "dear"], points_per_usd=200_000.0, seed=1)
    assert found.penalty == pytest.approx({"cheap": 0.002, "dear": 0.2})
    assert found.learned.reward == pytest.approx(1.0 - 0.101)
    assert found.best_fixed.name == "always cheap"
    assert found.best_fixed.reward == pytest.approx(0.5 - 0.002)
    assert found.uniform.reward == pytest.approx(0.5 - 0.101)
    assert found.per_kind == found.per_kind.__class__("best arm of each kind", *_values(found.learned))
    assert found.learned.cost_usd == pytest.approx(50.5e-6)
    assert found.over_fixed.mean == pytest.approx(0.401)
    assert found.over_uniform.mean == pytest.approx(0.5)


def test_shares_and_qualities_are_counted_by_kind() -> None:
    found = compare(specialists(), ["cheap", "dear"], points_per_usd=200_000.0, seed=1)
    assert found.shares == {"facts": {"cheap": 0.0, "dear": 1.0}, "sums": {"cheap": 1.0, "dear": 0.0}}
    assert found.qualities == found.shares
    assert found.best_for == {"facts": "dear", "sums": "cheap"}
    assert kinds(found, ["cheap", "dear"])[1] == [
        ["facts", "0% (.00)", "100% (1.00)*"],
        ["sums", "100% (1.00)*", "0% (.00)"],
    ]


def test_the_verdict_names_the_winner_only_when_the_interval_excludes_zero() -> None:
    wins = compare(specialists(), ["cheap", "dear"], points_per_usd=200_000.0, seed=1)
    assert verdict(wins).startswith("Learned beats the best fixed arm (always cheap) by +0.401 [")
    same = [a_round(i, "sums", "cheap", {"cheap": float(i % 2), "dear": 0.0}) for i in range(40)]
    level = compare(same, ["cheap", "dear"], points_per_usd=200_000.0, seed=1)
    assert verdict(level).startswith("No clear difference")
    loses = [a_round(i, "sums", "dear", {"cheap": 1.0, "dear": 0.0}) for i in range(40)]
    assert verdict(compare(loses, ["cheap", "dear"], points_per_usd=200_000.0, seed=1)).startswith("Learned is WORSE")


def test_arms_without_a_price_carry_no_penalty() -> None:
    free = Served("dear", 1.0, None, 0.1, "an answer")
    rounds = [Round(i, "sums", f"p{i}", "x", f"hw-{i}", 1.0, free, {"dear": free}) for i in range(5)]
    assert compare(rounds, ["dear"], points_per_usd=200_000.0, seed=1).learned.reward == 1.0


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(ValueError, match="rounds is empty"):
        compare([], ["cheap"], points_per_usd=200_000.0, seed=1)


def test_the_interval_holds_the_mean_narrows_with_more_rounds_and_repeats_for_a_seed() -> None:
    few, many = np.tile([0.0, 1.0], 10), np.tile([0.0, 1.0], 1000)
    narrow, wide = bootstrap(many, np.random.default_rng(0)), bootstrap(few, np.random.default_rng(0))
    assert wide.low < 0.5 < wide.high
    # Half a width of 1.96 standard errors: 0.5 / sqrt(2000) = 0.011.
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 * 0.01118, rel=0.1)
    assert bootstrap(few, np.random.default_rng(0)) == wide


def test_curves_are_means_of_the_last_rounds_and_rivals_use_compared_rounds_only() -> None:
    penalty = {"cheap": 0.0, "dear": 0.5}
    rounds = specialists(40)
    first = [a_round(i, "sums", "cheap", {"cheap": 1.0, "dear": 0.0}, compared=False) for i in range(20)]
    mixed = [*first, *rounds[20:]]
    learned = learned_curve(mixed, penalty, window=20)
    assert learned.x.tolist() == list(range(14, 40))
    assert learned.y[[0, -1]].tolist() == pytest.approx([1.0, 0.75])
    assert fixed_curve(mixed, "cheap", penalty, window=20).x.tolist() == list(range(34, 40))
    assert random_curve(mixed, penalty, window=20).y[-1] == pytest.approx(0.25)
    # Ten times 1 and ten times 0.5: a deviation of 0.25, and 1.96 / sqrt(19) of it on both sides.
    assert (learned.high - learned.low)[[0, -1]].tolist() == pytest.approx([0.0, 2 * 1.96 * 0.25 / 19**0.5])


def _values(strategy: object) -> tuple[float, float, float]:
    return strategy.reward, strategy.quality, strategy.cost_usd  # type: ignore[attr-defined]
