import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.draw import mix
from highwayman.bandit.probation import ProbationQuota, with_minimums

WEIGHTS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12).filter(lambda weights: sum(weights) > 1e-3)


def test_what_an_arm_on_trial_lacks_comes_from_the_others_as_they_have() -> None:
    assert with_minimums(np.array([0.6, 0.4, 0.0]), np.array([0.0, 0.0, 0.1])) == pytest.approx([0.54, 0.36, 0.1])


def test_an_arm_that_the_policy_gives_more_keeps_it() -> None:
    probs = np.array([0.7, 0.3])
    assert with_minimums(probs, np.array([0.0, 0.1])).tolist() == probs.tolist()


def test_one_arm_on_trial_pays_for_another_only_from_what_is_beyond_its_quota() -> None:
    assert with_minimums(np.array([1.0, 0.0]), np.array([0.3, 0.3])) == pytest.approx([0.7, 0.3])


@given(WEIGHTS, st.data(), st.floats(0.0, 0.99))
def test_quotas_are_kept_and_the_sum_and_the_floor_too(weights: list[float], data: st.DataObject, share: float) -> None:
    k = len(weights)
    probs = np.array(weights) / sum(weights)
    spent = data.draw(st.lists(st.sampled_from([None, 0.0, 99.0]), min_size=k, max_size=k))
    quotas = ProbationQuota(share, max_usd=10.0).minimums(spent)
    found = with_minimums(probs, quotas)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= quotas - 1e-12).all()
    assert (found[quotas == 0] <= probs[quotas == 0] + 1e-12).all()
    assert mix(found, floor=0.1).min() >= 0.1 / k


def test_the_share_is_for_all_arms_on_trial_that_have_not_cost_what_they_may() -> None:
    trial = ProbationQuota(share=0.04, max_usd=5.0)
    assert trial.minimums([None, 0.0, 4.99]).tolist() == [0.0, 0.02, 0.02]
    assert trial.minimums([None, 5.0, 0.0]).tolist() == [0.0, 0.0, 0.04]
    assert trial.minimums([None, 5.0, None]).tolist() == [0.0, 0.0, 0.0]
    assert ProbationQuota(share=0.04, max_usd=None).minimums([1e9]).tolist() == [0.04]


def test_senseless_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\), got 1.0"):
        ProbationQuota(share=1.0)
    with pytest.raises(ValueError, match=r"max_usd must be a number >= 0 or None, got -1\.0"):
        ProbationQuota(max_usd=-1.0)
