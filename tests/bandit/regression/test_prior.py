import numpy as np
import pytest

from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.regression.prior import AcceptsPrior, Prior
from highwayman.env.encoder.features.tags import Tag, TagColumns
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, RewardChange

ONE = np.ones((40, 1))
REWARDS = np.column_stack([np.full(40, 0.9), np.tile([0.0, 1.0, np.nan, np.nan], 10)])


def fitted(weight: float = 10.0) -> Prior:
    return Prior.fit(ONE, REWARDS, arms=("good", "fair"), weight=weight, fingerprint="f")


def test_each_arm_is_worth_the_stated_number_of_answers_or_those_there_are() -> None:
    assert fitted(10.0).sums.sums[:, 0].tolist() == [10.0, 10.0]
    assert fitted(30.0).sums.sums[:, 0].tolist() == [30.0, 20.0]
    assert fitted(10.0).sums.b[:, 0].tolist() == pytest.approx([9.0, 5.0])


def test_what_counts_more_weighs_more_and_what_stands_for_many_is_worth_no_more_answers() -> None:
    counts = np.tile([3.0, 1.0], 20)  # good fair: 0 counts three times, 1 once
    weighed = Prior.fit(ONE, REWARDS, arms=("good", "fair"), weight=30.0, fingerprint="f", counts=counts)
    assert weighed.sums.sums[:, 0].tolist() == pytest.approx([30.0, 20.0])
    assert (weighed.sums.b[:, 0] / weighed.sums.sums[:, 0]).tolist() == pytest.approx([0.9, 0.25])
    halved = Prior.fit(ONE, REWARDS, arms=("good", "fair"), weight=30.0, fingerprint="f", counts=np.full(40, 0.5))
    assert halved.sums.sums[:, 0].tolist() == pytest.approx([20.0, 10.0])


@pytest.mark.parametrize("make", [HierTS, LinTS])
def test_a_policy_that_begins_with_it_is_where_one_is_that_was_told_as_much(make: type) -> None:
    begun, told = make(d=1, fingerprint="f"), make(d=1, fingerprint="f")
    assert isinstance(begun, AcceptsPrior)
    begun.apply_prior(fitted())
    for arm in ("good", "fair"):
        told.add_arm(arm)
    told.learn([RewardChange("good", np.ones(1), 10.0, 9.0, 8.1), RewardChange("fair", np.ones(1), 10.0, 5.0, 5.0)])
    told.state()  # settles what is learned so
    context = Context(np.ones(1), "f", 1)
    assert begun.expected_quality(context, ["good", "fair"]) == pytest.approx(
        told.expected_quality(context, ["good", "fair"])
    )


def test_it_survives_its_file_and_another_encoder_or_damage_is_refused() -> None:
    data = fitted().to_bytes()
    again = Prior.from_bytes(data, d=1, fingerprint="f")
    assert again.digest == fitted().digest != fitted(20.0).digest
    with pytest.raises(SnapshotError, match="encoder 'f', this one is 'g'"):
        Prior.from_bytes(data, d=1, fingerprint="g")
    with pytest.raises(SnapshotError, match="damaged"):
        Prior.from_bytes(data[:-1], d=1, fingerprint="f")


def test_a_weight_that_cannot_be_is_named() -> None:
    with pytest.raises(ValueError, match="weight must be > 0, got 0"):
        fitted(0.0)


def test_a_prior_that_was_fitted_before_tags_were_declared_says_nothing_of_them() -> None:
    columns = TagColumns((Tag("task", slots=2),))
    read = Prior.from_bytes(fitted().to_bytes(), d=4, fingerprint=columns.fingerprint("f"))
    assert read.sums.a[0].tolist() == [[0, 0, 0, 0]] * 3 + [[0, 0, 0, 10.0]]
    assert read.sums.b[0].tolist() == pytest.approx([0, 0, 0, 9.0])
    begun = HierTS(d=4, fingerprint=columns.fingerprint("f"))
    begun.apply_prior(read)
    assert begun.posterior.total_weight() == 20.0
