import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LogError, LoggedData
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.direct_method import DirectMethod
from highwayman.sims.ope.estimators.doubly_robust import DoublyRobust
from highwayman.sims.ope.estimators.dr_os import DROS
from highwayman.sims.ope.estimators.ips import IPS
from highwayman.sims.ope.estimators.modelled import Modelled
from highwayman.sims.ope.estimators.ratios import ratios
from highwayman.sims.ope.estimators.switch_dr import SwitchDR
from highwayman.sims.ope.reward_model import RewardModel
from tests.sims.ope.estimators.logs import every_log, log_of, random_log

REWARD = np.array([[0.9, 0.1], [0.3, 0.6], [0.5, 1.0], [0.2, 0.4]])
TARGET = np.array([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1], [0.5, 0.5]])
CONTEXTS = np.array([[1.0, 1.0], [-1.0, 1.0], [0.5, 1.0], [2.0, 1.0]])
TRUTH = float((REWARD * TARGET).sum(axis=1).mean())


def fitted(estimator: Modelled, log: LoggedData, target: Floats) -> RoundValues:
    estimator.fit(log)
    return estimator.rounds(log, target)


def expected(estimator: type[Modelled]) -> float:
    logs = every_log(4, lambda _: np.array([0.7, 0.3]), REWARD, contexts=CONTEXTS)
    return sum(p * float(fitted(estimator(), log, TARGET).numerator.mean()) for p, log in logs)


def test_doubly_robust_expects_the_truth_over_every_log_there_could_be_though_its_model_is_poor() -> None:
    assert len(set(RewardModel().fold_of(np.arange(4)).tolist())) > 1  # so the model does learn of other rounds
    assert expected(DoublyRobust) == pytest.approx(TRUTH, abs=1e-7)


def test_the_direct_method_does_not() -> None:
    assert abs(expected(DirectMethod) - TRUTH) > 0.01


def test_a_round_is_its_prediction_corrected_by_the_weighed_residual() -> None:
    log = random_log(np.random.default_rng(0))
    target = np.random.default_rng(1).dirichlet(np.ones(3), log.n)
    model = RewardModel()
    model.fit(log)
    q = model.predict(log).astype(np.float64)
    direct, taken = (q * target).sum(axis=1), q[np.arange(log.n), log.actions]
    w = ratios(log, target)
    weights = {
        DirectMethod(): 0 * w,
        DoublyRobust(): w,
        SwitchDR(tau=1.5): np.where(w <= 1.5, w, 0.0),
        DROS(lam=4.0): 4 * w / (w**2 + 4),
    }
    for estimator, weight in weights.items():
        rounds = fitted(estimator, log, target)
        assert rounds.numerator == pytest.approx(direct + weight * (log.rewards - taken), abs=1e-6)
        assert rounds.ratio == pytest.approx(weight)


def test_at_the_ends_of_their_options_shrinkage_and_switching_are_the_other_two() -> None:
    log = random_log(np.random.default_rng(2))
    target = np.random.default_rng(3).dirichlet(np.ones(3), log.n)
    robust, direct = fitted(DoublyRobust(), log, target), fitted(DirectMethod(), log, target)
    for estimator in (SwitchDR(tau=math.inf), DROS(lam=math.inf)):
        assert fitted(estimator, log, target).numerator.tolist() == robust.numerator.tolist()
    for estimator in (SwitchDR(tau=1e-12), DROS(lam=1e-12)):
        assert fitted(estimator, log, target).numerator == pytest.approx(direct.numerator, abs=1e-6)


def test_where_the_model_is_right_doubly_robust_varies_less_than_ips() -> None:
    rng = np.random.default_rng(4)
    log = random_log(rng, n=4000)
    target = rng.dirichlet(np.ones(3), log.n)
    sure = log_of(log.actions.tolist(), log.propensities.tolist(), np.array([0.2, 0.5, 0.9])[log.actions].tolist(), k=3)
    robust, weighed = fitted(DoublyRobust(), sure, target), IPS().rounds(sure, target)
    assert robust.numerator.var() < weighed.numerator.var() / 10


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), size=st.floats(0.5, 30.0))
def test_round_values_lie_within_the_bounds_that_they_state(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    log, target = random_log(rng, n=60), rng.dirichlet(np.ones(3), 60)
    for estimator in (DirectMethod(), DoublyRobust(max_ratio=10.0), SwitchDR(tau=size), DROS(lam=size)):
        rounds = fitted(estimator, log, target)
        assert rounds.low - 1e-9 <= rounds.numerator.min()
        assert rounds.numerator.max() <= rounds.high + 1e-9


def test_none_of_them_claims_to_be_a_martingale() -> None:
    log = random_log(np.random.default_rng(5), n=50)
    for estimator in (DirectMethod(), DoublyRobust(), SwitchDR(), DROS()):
        assert not fitted(estimator, log, np.full((50, 3), 1 / 3)).martingale


def test_a_log_that_was_never_fitted_is_refused() -> None:
    with pytest.raises(LogError, match="fit the log first"):
        DoublyRobust().rounds(random_log(np.random.default_rng(6), n=5), np.full((5, 3), 1 / 3))
