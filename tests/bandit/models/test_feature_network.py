from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from highwayman.env.types import Floats

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")


@pytest.fixture(scope="module")
def torch() -> Any:
    """The library, slow to load: not by every worker that collects."""
    return pytest.importorskip("torch")


def network(seed: int = 3, *, d: int = 2) -> Any:
    """Return a `FeatureNetwork`, whose file loads torch."""
    from highwayman.bandit.models.feature_network import FeatureNetwork  # noqa: PLC0415

    return FeatureNetwork(d=d, hidden=32, width=8, seed=seed)


def trained(seed: int = 3, *, epochs: int = 40) -> tuple[Any, Floats, Floats]:
    """Return a network that was shown |x_0|, with what it was shown."""
    x = np.random.default_rng(1).uniform(-1, 1, (1000, 2))
    rewards, made = np.abs(x[:, 0]), network(seed)
    made.train(x, np.zeros(1000, dtype=np.intp), rewards, np.ones(1000), epochs=epochs)
    return made, x, rewards


def unexplained(features: Floats, rewards: Floats) -> float:
    """Return the share of variance that the best line through the features leaves."""
    fit = features @ np.linalg.lstsq(features, rewards, rcond=None)[0]
    return float(np.mean((fit - rewards) ** 2) / rewards.var())


def test_a_bent_function_is_a_line_in_what_was_learned() -> None:
    made, x, rewards = trained()
    assert unexplained(np.column_stack([x, np.ones(1000)]), rewards) > 0.9
    assert unexplained(made.features(x), rewards) < 0.05


def test_the_same_seed_gives_the_same_bytes_however_many_threads_there_are(torch: Any) -> None:
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(trained(epochs=5)[0].weights)
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])
    assert not np.array_equal(trained(4, epochs=5)[0].weights["w1"], found[0]["w1"])


def test_training_draws_from_no_generator_that_others_use(torch: Any) -> None:
    torch.manual_seed(5)
    first = torch.rand(3)
    torch.manual_seed(5)
    trained(epochs=1)
    assert torch.equal(torch.rand(3), first)


def test_rounds_of_little_weight_teach_little() -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (1000, 2))
    heard = np.arange(1000) % 2 == 0
    rewards = np.where(heard, np.abs(x[:, 0]), np.abs(x[:, 1]))
    left = []
    for weights in (np.where(heard, 1.0, 1e-6), np.where(heard, 1e-6, 1.0)):
        made = network()
        made.train(x, np.zeros(1000, dtype=np.intp), rewards, weights, epochs=80)
        left.append([unexplained(made.features(x), np.abs(x[:, axis])) for axis in (0, 1)])
    (first, second), (other_first, other_second) = left
    assert 5 * first < second
    assert 5 * other_second < other_first


def test_features_of_many_contexts_are_those_of_each_and_end_with_one() -> None:
    made, x, _ = trained(epochs=2)
    many = made.features(x[:5])
    assert many.shape == (5, 9)
    assert many[:, -1].tolist() == [1.0] * 5
    assert many == pytest.approx(np.array([made.features(one) for one in x[:5]]), abs=1e-12)


def test_weights_of_another_network_are_refused_and_change_nothing() -> None:
    made = network()
    before = made.features(np.ones(2))
    with pytest.raises(ValueError, match="weights have shapes"):
        made.restore(network(0, d=3).weights)
    assert np.array_equal(made.features(np.ones(2)), before)
