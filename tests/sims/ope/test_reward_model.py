from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.sims.logs.logged import LogError
from highwayman.sims.ope.reward_model import RewardModel
from tests.sims.ope.estimators.logs import log_of, random_log


def test_a_fold_is_predicted_by_the_ridge_regression_of_the_others() -> None:
    rng = np.random.default_rng(0)
    log = random_log(rng, n=300)
    model = RewardModel(folds=3, ridge=2.0)
    model.fit(log)
    folds, found = model.fold_of(log.sessions), model.predict(log)
    for fold in range(3):
        others = folds != fold
        mean = log.rewards[others].mean()
        for arm in range(3):
            rows = others & (log.actions == arm)
            x, r = log.contexts[rows], log.rewards[rows] - mean
            theta = np.linalg.solve(np.diag([2.0, 2.0, 2.0, 1.0]) + x.T @ x, x.T @ r)
            wanted = np.clip(mean + log.contexts[folds == fold] @ theta, 0.0, 1.0)
            assert found[folds == fold, arm] == pytest.approx(wanted, abs=1e-5)


def test_what_a_session_says_does_not_change_what_is_predicted_of_it() -> None:
    log = random_log(np.random.default_rng(1), n=200, per_session=10)
    mine = log.sessions == 7
    turned = replace(log, rewards=np.where(mine, 1.0 - log.rewards, log.rewards))
    before, after = RewardModel(), RewardModel()
    before.fit(log)
    after.fit(turned)
    assert after.predict(log)[mine].tolist() == before.predict(log)[mine].tolist()
    assert after.predict(log)[~mine].tolist() != before.predict(log)[~mine].tolist()


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 100))
def test_chunks_and_their_order_do_not_matter(seed: int, cut: int) -> None:
    log = random_log(np.random.default_rng(seed), n=100)
    whole, parts = RewardModel(), RewardModel()
    whole.fit(log)
    parts.fit(log.take(slice(cut, None)))
    parts.fit(log.take(slice(0, cut)))
    assert parts.predict(log) == pytest.approx(whole.predict(log), abs=1e-5)


def test_an_arm_that_was_never_taken_is_predicted_to_earn_what_the_others_do_on_average() -> None:
    model = RewardModel()
    log = log_of([0] * 40, [1.0] * 40, [0.25] * 40)
    model.fit(log)
    assert model.predict(log)[:, 1] == pytest.approx(0.25)


def test_a_session_with_nobody_to_learn_from_is_predicted_to_earn_a_half() -> None:
    model = RewardModel()
    log = log_of([0, 1], [0.5, 0.5], [1.0, 1.0], sessions=[3, 3])
    model.fit(log)
    assert model.predict(log) == pytest.approx(0.5)


def test_rounds_without_a_reward_teach_nothing() -> None:
    log = random_log(np.random.default_rng(2), n=100)
    silent = replace(log, rewards=np.where(np.arange(100) < 50, np.nan, log.rewards))
    some, all_but = RewardModel(), RewardModel()
    some.fit(log.take(slice(50, None)))
    all_but.fit(silent)
    assert all_but.predict(log) == pytest.approx(some.predict(log), abs=1e-6)


def test_blocks_change_nothing_and_values_are_sums_over_the_predictions() -> None:
    log = random_log(np.random.default_rng(3), n=20_000)
    target = np.random.default_rng(4).dirichlet(np.ones(3), log.n)
    model = RewardModel()
    model.fit(log)
    direct, taken = model.values(log, target)
    found = model.predict(log)
    assert direct == pytest.approx((found * target).sum(axis=1), abs=1e-6)
    assert taken.tolist() == found[np.arange(log.n), log.actions].tolist()


def test_logs_over_other_arms_do_not_mix() -> None:
    model = RewardModel()
    model.fit(log_of([0], [1.0], [1.0]))
    with pytest.raises(LogError, match="fitted on arms a, b with 1 features; these rounds are of a, b, c with 1"):
        model.fit(log_of([0], [1.0], [1.0], k=3))


def test_options_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="folds must be >= 2"):
        RewardModel(folds=1)
    with pytest.raises(ValueError, match="ridge must be > 0"):
        RewardModel(ridge=0.0)
