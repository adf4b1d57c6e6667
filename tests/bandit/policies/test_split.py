"""A fixed split of the traffic."""

import numpy as np
import pytest

from highwayman.bandit.loading import load_policy
from highwayman.bandit.policies.split import Split
from highwayman.env.errors import ConfigError
from highwayman.env.types import Context

CONTEXT = Context(np.ones(1), "f", 1)


def test_arms_share_the_traffic_by_their_weights_among_those_that_may_answer() -> None:
    split = Split(d=1, weights={"a": 3, "b": 1, "c": 4})
    assert split.probs(CONTEXT, ("a", "b"), np.zeros(2)).tolist() == [0.75, 0.25]
    assert split.probs(CONTEXT, ("c", "new"), np.zeros(2)).tolist() == [1.0, 0.0]
    assert split.probs(CONTEXT, ("new", "newer"), np.zeros(2)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("weights", [{"a": -1.0}, {"a": float("nan")}, {"a": 0.0}])
def test_weights_that_are_no_split_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="weights must"):
        load_policy("Split", d=1, fingerprint="f", options={"weights": weights})
