import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.sims.baselines import knn
from highwayman.sims.baselines.folds import fold_of
from highwayman.sims.baselines.knn import Knn
from highwayman.sims.baselines.protocol import BaselineError
from highwayman.sims.baselines.ridge import Ridge, ridge_predictions
from highwayman.sims.baselines.task_mean import TaskMean
from highwayman.sims.tables.table import FullTable


def line(n: int, *, noise: float = 0.0, seed: int = 0) -> tuple[FullTable, np.ndarray]:
    """Return a table whose two arms get better and worse along the first of two features."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, n)
    quality = 0.5 + 0.4 * x[:, None] * np.array([1.0, -1.0]) + noise * rng.normal(size=(n, 2))
    return FullTable.from_arrays(("a", "b"), quality), np.column_stack([x, rng.normal(size=n), np.ones(n)])


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=40).filter(lambda texts: len(set(texts)) > 1))
def test_folds_keep_equal_texts_together_and_are_of_equally_many_texts(texts: list[str]) -> None:
    fold = fold_of(texts, np.random.default_rng(0), count=3)
    by_text = {text: {int(one) for one, other in zip(fold, texts, strict=True) if other == text} for text in texts}
    assert all(len(found) == 1 for found in by_text.values())
    sizes = [sum(found == {number} for found in by_text.values()) for number in range(min(3, len(by_text)))]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == len(by_text)


def test_one_fold_is_no_cross_validation() -> None:
    with pytest.raises(BaselineError, match="two folds"):
        fold_of(["a", "b"], np.random.default_rng(0), count=1)


def test_task_means_are_of_the_other_prompts_of_the_task() -> None:
    quality = np.array([[0.0], [0.3], [0.6], [1.0]])
    table = FullTable.from_arrays(("a",), quality, tasks=["s", "s", "s", "t"])
    found = TaskMean(folds=4).predictions(table, np.ones((4, 1)), np.random.default_rng(0))
    assert found[:, 0].tolist() == pytest.approx([0.45, 0.3, 0.15, 0.3])  # the only one of `t` has the mean of all


def test_task_means_say_that_tasks_are_empty() -> None:
    table = FullTable.from_arrays(("a",), np.ones((2, 1)))
    with pytest.raises(BaselineError, match="task_mean: the table's tasks are empty"):
        TaskMean().choices(table, np.ones((2, 1)), np.zeros(1), np.random.default_rng(0))


def test_ridge_finds_a_line_and_does_not_shrink_the_intercept() -> None:
    table, contexts = line(200)
    found = Ridge().predictions(table, contexts, np.random.default_rng(0))
    assert found == pytest.approx(table.quality, abs=2e-3)


@pytest.mark.parametrize("n", [6, 8, 30])
@pytest.mark.parametrize("seed", range(6))
def test_ridge_is_the_textbook_solution_at_the_strength_it_chose(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3))
    quality = features[:, :1] + rng.normal(size=(n, 1))
    ours = ridge_predictions(features, quality, features)
    centred, target = features - features.mean(axis=0), quality - quality.mean(axis=0)
    scale = (centred**2).sum() / 3
    fits = []
    for strength in np.logspace(-4, 4, 33) * scale:
        hat = centred @ np.linalg.solve(centred.T @ centred + strength * np.eye(3), centred.T)
        residual = target - hat @ target
        fits.append((n * float((residual**2).sum()) / (n - 1 - np.trace(hat)) ** 2, hat @ target + quality.mean()))
    assert ours == pytest.approx(min(fits, key=lambda fit: fit[0])[1])


def test_ridge_without_a_signal_predicts_about_the_mean() -> None:
    rng = np.random.default_rng(2)
    quality = 0.5 + 0.1 * rng.normal(size=(400, 1))
    found = ridge_predictions(rng.normal(size=(400, 20)), quality, rng.normal(size=(50, 20)))
    assert np.abs(found - quality.mean()).max() < 0.03


def test_ridge_of_features_that_never_vary_or_none_is_the_mean() -> None:
    quality = np.array([[0.2], [0.6]])
    assert ridge_predictions(np.ones((2, 3)), quality, np.ones((1, 3))).tolist() == [[pytest.approx(0.4)]]
    assert ridge_predictions(np.ones((2, 0)), quality, np.ones((1, 0))).tolist() == [[pytest.approx(0.4)]]


def test_neighbours_are_by_angle_without_the_constant() -> None:
    contexts = np.array([[1.0, 0.0, 1.0], [9.0, 0.1, 1.0], [0.0, 1.0, 1.0], [0.1, 9.0, 1.0]])
    table = FullTable.from_arrays(("a",), np.array([[0.1], [0.2], [0.8], [0.9]]))
    found = Knn(k=1, folds=4).predictions(table, contexts, np.random.default_rng(0))
    assert found[:, 0].tolist() == [0.2, 0.1, 0.9, 0.8]


def test_more_neighbours_than_prompts_are_all_of_them() -> None:
    table = FullTable.from_arrays(("a",), np.array([[0.0], [0.3], [0.6]]))
    found = Knn(k=99, folds=3).predictions(table, np.eye(3), np.random.default_rng(0))
    assert found[:, 0].tolist() == pytest.approx([0.45, 0.3, 0.15])


def test_prompts_as_near_as_the_kth_all_count_whatever_their_order() -> None:
    contexts = np.array([[1.0, 0.0, 1.0]] * 4 + [[0.0, 1.0, 1.0]])
    table = FullTable.from_arrays(("a",), np.array([[0.0], [0.2], [0.4], [0.6], [1.0]]))
    found = Knn(k=2, folds=5).predictions(table, contexts, np.random.default_rng(0))
    assert found[:4, 0].tolist() == pytest.approx([0.4, 1.0 / 3, 0.8 / 3, 0.2])  # three others at the same angle


def test_the_prompts_that_choose_k_are_drawn_from_all_of_a_table_sorted_by_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(knn, "_JUDGES", 60)
    rng = np.random.default_rng(0)
    angle = np.sort(np.concatenate([rng.uniform(0, 1, 700), rng.uniform(2, 3, 700)]))
    # The first task is all noise, which wants many neighbours; in the second, only a few are alike.
    lead = np.where(angle < 1.5, 0.1 * rng.normal(size=1_400), np.sign(np.sin(60 * angle)))
    table = FullTable.from_arrays(("a", "b"), np.column_stack([lead, -lead]))
    contexts = np.column_stack([np.cos(angle), np.sin(angle), np.ones(1_400)])
    free, few = (Knn(k=k).predictions(table, contexts, np.random.default_rng(1)) for k in (None, 10))
    assert free.tolist() == few.tolist()


def test_of_neighbourhoods_that_cannot_be_told_apart_the_largest_is_chosen() -> None:
    rng = np.random.default_rng(5)
    table = FullTable.from_arrays(("a", "b"), rng.random((800, 2)))
    contexts = np.column_stack([rng.normal(size=(800, 3)), np.ones(800)])
    free, many = (Knn(k=k).predictions(table, contexts, np.random.default_rng(1)) for k in (None, 300))
    assert free.tolist() == many.tolist()


def test_neighbours_agree_with_a_plain_search_across_blocks() -> None:
    table, contexts = line(1_300, noise=0.2)
    rng = np.random.default_rng(4)
    fold = fold_of(table.prompts, np.random.default_rng(4))
    found = Knn(k=7).predictions(table, contexts, rng)
    units = contexts[:, :2] / np.linalg.norm(contexts[:, :2], axis=1, keepdims=True)
    for row in (0, 255, 256, 650, 1_299):
        others = np.flatnonzero(fold != fold[row])
        near = others[np.argsort(-units[others] @ units[row])[:7]]
        # single precision may swap neighbours at the same angle, which moves the mean by little
        assert found[row] == pytest.approx(table.quality[near].mean(axis=0), abs=0.08)


def test_many_neighbours_are_chosen_for_noise_and_few_for_a_signal() -> None:
    noisy, contexts = line(1_000, noise=1.0)
    free = Knn().predictions(noisy, contexts, np.random.default_rng(0))
    errors = {
        k: ((Knn(k=k).predictions(noisy, contexts, np.random.default_rng(0)) - noisy.quality) ** 2).mean()
        for k in (10, 300)
    }
    chosen = ((free - noisy.quality) ** 2).mean()
    assert chosen < errors[10]
    assert chosen <= errors[300] * 1.02


def test_a_prompt_of_which_nothing_is_known_gets_some_prediction() -> None:
    table, contexts = line(50)
    contexts[3, :2] = 0.0
    assert np.isfinite(Knn(k=5).predictions(table, contexts, np.random.default_rng(0))).all()
