from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.newcomer import rounds_to_half
from highwayman.bandit.best_arm import best_arm_probs
from highwayman.bandit.draw import draw
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policy import Policy
from highwayman.env.encoder.features.tags import Tag, TagColumns
from highwayman.env.types import Context, Floats, RewardChange

D = 9
ARMS = tuple("abcdef")
FREE = np.zeros(len(ARMS))
Quality = Callable[[Floats], Floats]  # of a context (d,), each arm's expected quality (K,)


def context(features: Floats) -> Context:
    return Context(features, "f", prompt_tokens=10)


def added(policy: Policy) -> Policy:
    for arm in ARMS:
        policy.add_arm(arm)
    return policy


def earned(policy: Policy, quality: Quality, n: int, *, seed: int) -> tuple[Floats, Floats]:
    """Return the expected quality of the arms drawn and of the best ones, (n,) each, while the policy learns."""
    rng = np.random.default_rng(seed)
    got, best = np.empty(n), np.empty(n)
    for t in range(n):
        x = np.append(rng.normal(size=D - 1) / 3, 1.0)
        means = np.clip(quality(x), 0, 1)
        drawn = draw(policy.probs(context(x), ARMS, FREE), floor=0.01, rng=rng)
        got[t], best[t] = means[drawn.action], means.max()
        value = float(rng.random() < got[t])
        policy.learn([RewardChange(ARMS[drawn.action], x, 1.0, value, value)])
    return got, best


def hard_or_easy(x: Floats) -> Floats:
    """Return qualities that hang on how hard the query is, for all arms alike, and on which arm it is."""
    return np.array([0.3, 0.35, 0.4, 0.45, 0.5, 0.65]) + 0.3 * x[0] - 0.2 * x[1]


def specialists(x: Floats) -> Floats:
    """Return qualities of arms of which each is best on its own kind of query."""
    return np.concatenate([0.5 + 0.8 * x[:3], 0.5 - 0.8 * x[:3]])


def test_learns_which_arm_answers_which_kind_of_query() -> None:
    got, best = earned(added(HierTS(d=D, fingerprint="f")), specialists, 4000, seed=1)
    fixed = 0.5
    assert got[-1000:].mean() - fixed > 0.8 * (best[-1000:].mean() - fixed)


def test_where_queries_say_nothing_of_which_arm_is_better_it_loses_less_than_separate_regressions() -> None:
    lost = {}
    for name, make in (("hier", HierTS), ("apart", LinTS)):
        runs = [earned(added(make(d=D, fingerprint="f")), hard_or_easy, 1500, seed=seed) for seed in range(4)]
        lost[name] = float(np.mean([best - got for got, best in runs]))
    assert lost["hier"] < 0.8 * lost["apart"]


def test_explores_less_once_there_is_feedback_beyond_its_patience() -> None:
    one = np.array([0.0] * (D - 1) + [1.0])
    told = [RewardChange(arm, one, 1.0, value, value) for arm in ARMS for value in (0.0, 1.0) * 50]
    told += [RewardChange("a", one, 1.0, 1.0, 1.0)] * 3
    probs = {}
    for patience in (10.0, 1000.0):
        policy = added(HierTS(d=D, fingerprint="f", patience=patience))
        policy.learn(told)
        probs[patience] = policy.probs(context(one), ARMS, FREE)
    assert probs[10.0][0] > probs[1000.0][0] + 0.15


def test_it_explores_what_an_arm_does_on_the_whole_before_what_it_does_with_a_query() -> None:
    lost = {}
    for share in (0.0, 1.0):
        runs = [
            earned(added(HierTS(d=D, fingerprint="f", query_exploration=share)), hard_or_easy, 500, seed=seed)
            for seed in range(4)
        ]
        lost[share] = float(np.mean([best - got for got, best in runs]))
    assert lost[0.0] < 0.95 * lost[1.0]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_of_what_a_query_adds_to_the_least_deviation_a_share_is_explored(share: float) -> None:
    policy = HierTS(d=D, fingerprint="f", exploration=0.5, query_exploration=share)
    added(policy)
    rng = np.random.default_rng(0)
    for n in range(60):  # twelve answers of each but the last, a newcomer
        value = float(rng.random() < 0.5)
        policy.learn([RewardChange(ARMS[n % 5], np.append(rng.normal(size=D - 1), 1.0), 1.0, value, value)])
    x = np.append(rng.normal(size=D - 1), 1.0)
    means, spreads = policy.posterior.mean_and_std(x, ARMS)
    least = 1.0 / (12.0 + 1.0)  # answers, and the intercept's precision
    assert (spreads**2 > least).all()
    shares = np.array([share] * 5 + [1.0])
    squares = policy.posterior.noise_variance() * (shares * spreads**2 + (1.0 - shares) * least)
    assert policy.probs(context(x), ARMS, FREE) == pytest.approx(best_arm_probs(means, 0.5 * np.sqrt(squares)))
    assert policy.probs_many(x[None], ARMS, FREE[None])[0] == pytest.approx(policy.probs(context(x), ARMS, FREE))


def slowly(policy: HierTS, x: Floats, arms: tuple[str, ...]) -> Floats:
    """Return what the policy's probabilities are by its docstring's words, with the usual options."""
    posterior = policy.posterior
    means, spreads = posterior.mean_and_std(x, arms)
    weights = np.array([posterior.weight_of(arm) for arm in arms])
    usual = max(posterior.total_weight() / len(posterior.arms), 1.0)
    patience = 250.0 / np.maximum(np.minimum(4.0 * weights, usual), 250.0)
    kept = 1.0 - 0.7 * np.minimum(2.0 * weights / usual, 1.0)
    least = 1.0 / (weights + 1.0)
    squares = least + kept * (spreads**2 - least)
    return best_arm_probs(means, 0.75 * np.sqrt(posterior.noise_variance() * patience * squares))


def test_what_hangs_on_no_query_is_computed_anew_whenever_something_is_learned() -> None:
    policy, rng = HierTS(d=D, fingerprint="f"), np.random.default_rng(2)
    added(policy)
    x = np.append(rng.normal(size=D - 1), 1.0)
    copy = HierTS(d=D, fingerprint="f")
    for n in range(300):
        value = float(rng.random() < 0.5)
        policy.learn([RewardChange(ARMS[n % 4], np.append(rng.normal(size=D - 1), 1.0), 2.0, 2 * value, 2 * value)])
        arms = ARMS if n % 3 else ARMS[1:]
        if n == 100:
            policy.discount("b", share=0.1)
        if n == 200:
            policy.add_arm("newer")
        if n % 50 == 49:
            copy.restore(policy.state())
            assert copy.probs(context(x), arms, np.zeros(len(arms))) == pytest.approx(slowly(copy, x, arms), abs=1e-12)
        assert policy.probs(context(x), arms, np.zeros(len(arms))) == pytest.approx(slowly(policy, x, arms), abs=1e-12)


def test_an_arm_is_explored_as_a_whole_at_each_level_of_a_tag() -> None:
    columns = TagColumns((Tag("task", slots=2),))
    rng = np.random.default_rng(0)
    queries = [context(np.append(rng.normal(size=D - 1), 1.0)) for _ in range(60)]
    known, new = (columns.apply(queries[0], [("task", place)]) for place in (0, 1))
    policy = HierTS(d=len(known.features), fingerprint=known.fingerprint, exploration=0.5)
    added(policy)
    for n, query in enumerate(queries):  # ten answers of each, all at one level
        value = float(rng.random() < 0.5)
        x = columns.apply(query, [("task", 0)]).features
        policy.learn([RewardChange(ARMS[n % 6], x, 1.0, value, value)])
    for at, weight in ((known, 10.0), (new, 0.0), (columns.apply(queries[0], []), 10.0)):
        means, spreads = policy.posterior.mean_and_std(at.features, ARMS)
        least = np.minimum(1.0 / (weight + 1.0), spreads**2)
        squares = policy.posterior.noise_variance() * (0.3 * spreads**2 + 0.7 * least)
        probs = policy.probs(at, ARMS, FREE)
        assert probs == pytest.approx(best_arm_probs(means, 0.5 * np.sqrt(squares)))
        assert policy.probs_many(at.features[None], ARMS, FREE[None])[0] == pytest.approx(probs)


def test_a_better_newcomer_in_a_mature_pool_soon_has_half_of_the_traffic() -> None:
    rounds = [rounds_to_half("HierTS", [25_000.0] * 3, 0.05, seed=seed, most=600) for seed in (4, 5, 6)]
    assert max(rounds) < 600


def test_a_penalty_moves_traffic_without_learning() -> None:
    policy = added(HierTS(d=D, fingerprint="f"))
    one = np.array([0.0] * (D - 1) + [1.0])
    assert policy.probs(context(one), ARMS, FREE) == pytest.approx(np.full(6, 1 / 6), abs=1e-3)
    dear = policy.probs(context(one), ARMS, np.array([0.3, 0, 0, 0, 0, 0]))
    assert dear[0] < 0.1


@pytest.mark.parametrize("name", ["exploration", "patience"])
def test_an_option_that_cannot_be_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number > 0, got 0"):
        HierTS(d=D, **{name: 0})


def test_a_share_of_what_a_query_adds_is_a_share() -> None:
    with pytest.raises(ValueError, match=r"query_exploration must be in \[0, 1\], got 1.5"):
        HierTS(d=D, query_exploration=1.5)
