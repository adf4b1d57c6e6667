from typing import Any

import pytest

from highwayman.bandit.loading import shipped_policies
from highwayman.env.errors import HighwaymanError
from highwayman.sims.baselines.protocol import baseline_names
from highwayman.sims.sweeps.plan import BASELINES, Plan


def test_every_policy_and_baseline_that_comes_with_us_can_be_planned() -> None:
    assert set(BASELINES) == set(baseline_names())
    Plan(policies=tuple(shipped_policies())).check()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"policies": ()}, "a sweep needs a policy or more, got none"),
        ({"worlds": ()}, "a sweep needs a world or more, got none"),
        ({"cost_weights": ()}, "a sweep needs a cost weight or more, got none"),
        ({"policies": ("LinTS", "LinTS")}, "policy 'LinTS' is given twice"),
        ({"worlds": ("calm", "Delay", "calm")}, "world 'calm' is given twice"),
        ({"cost_weights": (0.1, 0.1)}, "cost weight 0.1 is given twice"),
        ({"baselines": ("knn", "knn")}, "baseline 'knn' is given twice"),
        ({"policies": ("LinTX",)}, "unknown policy 'LinTX' (did you mean 'LinTS'?)"),
        (
            {"policies": ("LinTS:exploration",)},
            "policy 'LinTS:exploration': No module named 'LinTS'; give module:Class",
        ),
        ({"policies": ("LinTS:explore=1",)}, "unknown option 'explore' (did you mean 'exploration'?)"),
        ({"policies": ("LinTS:exploration=-1",)}, "exploration must be a number > 0, got -1"),
        ({"policies": ("nowhere:Policy",)}, "No module named 'nowhere'"),
        ({"policies": ("builtins:dict",)}, "policy 'builtins:dict' lacks a method of the Policy protocol"),
        ({"worlds": ("Thumb",)}, "unknown world 'Thumb' (did you mean 'Thumbs'?)"),
        ({"worlds": ("Thumbs:rate=2",)}, "rate must be a number in [0, 1], got 2.0"),
        ({"baselines": ("best",)}, "no baseline 'best': give one of best_fixed, cheapest"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"first_seed": -1}, "first_seed must be at least 0, got -1"),
        ({"bins": 0}, "bins must be at least 1, got 0"),
        ({"frozen_for": 0}, "frozen_for must be at least 1, got 0"),
        ({"rounds": 39}, "rounds must be at least 40, one for each bin of a learning curve, got 39"),
        ({"arms": 1}, "arms must be at least 2, got 1"),
        ({"floor": 1.5}, "floor must be in [0, 1], got 1.5"),
        ({"floor": float("nan")}, "floor must be in [0, 1], got nan"),
        ({"cost_weights": (0.1, -0.1)}, "a cost weight must be a number >= 0, got -0.1"),
        ({"cost_weights": (float("inf"),)}, "a cost weight must be a number >= 0, got inf"),
    ],
)
def test_what_cannot_be_planned_is_named_with_what_would_be_right(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(HighwaymanError) as caught:
        Plan(**{"policies": ("LinTS",), **wrong}).check()
    assert says in str(caught.value)
