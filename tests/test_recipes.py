"""CONTRIBUTING.md's recipes are what they say they are: each, pasted into the file it names, is found by its shape."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from highwayman.bandit.policy import Policy
from highwayman.feedback.integrations.adapter import FeedbackAdapter, WebhookRequest
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.simulation.scenario import Stage
from tests.sims.simulation.courses import course

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^### .*?: `(.*?)`\n\n```python\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE))


def made(path: str, name: str, **options: Any) -> Any:
    """Return what the recipe for a file makes, which lies where files of its kind do."""
    assert (Path(__file__).parents[1] / path).parent.is_dir()
    module: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(RECIPES[path], path, "exec"), module)
    return module[name](**options)


def test_the_policy_is_one() -> None:
    policy = made("bandit/policies/optimist.py", "Optimist", d=2)
    assert isinstance(policy, Policy)
    hoped = policy.choose(np.array([0.5, 0.4]), np.array([0.0, 0.1]), None)
    assert hoped == pytest.approx([0.5, 0.5]), "a deviation of .1 makes up for .1"


def test_the_estimator_caps_at_the_root_of_n() -> None:
    n = 4
    log = LoggedData(
        ("a", "b"), np.ones((n, 1)), np.ones((n, 2), dtype=np.bool_), np.array([0, 0, 1, 1]), np.array([0.1, 1, 1, 1]),
        np.ones(n), np.zeros(n), np.zeros((n, 2)), np.arange(n), np.zeros(n),
    )  # fmt: skip
    rounds = made("sims/ope/estimators/self_clipped.py", "SelfClipped").rounds(log, np.full((n, 2), 0.5))
    assert rounds.numerator.tolist() == [2.0, 0.5, 0.5, 0.5]


def test_the_adapter_reads_a_reaction_and_its_removal() -> None:
    adapter = made("feedback/integrations/zulip.py", "Zulip")
    assert isinstance(adapter, FeedbackAdapter)
    event = {"op": "add", "message_id": 7, "user_id": 1, "emoji_name": "+1"}
    for body, value in ((event, True), (event | {"op": "remove"}, None)):
        (submission,) = adapter.parse(WebhookRequest("POST", adapter.routes[0], body=body)).submissions
        assert submission.value is value
        assert submission.target.request_id == "zulip:7"


def test_the_world_is_silent_at_its_hour() -> None:
    world = made("sims/simulation/worlds/lunch_break.py", "LunchBreak", starts_h=0.5, lasts_h=0.25)
    scenario = course(rounds=3600)  # an hour
    silent = np.isnan(world.apply(scenario, np.random.default_rng(0)).feedback).all(axis=1)
    assert world.stage is Stage.SILENCE
    assert scenario.at[silent].min() >= 1800
    assert scenario.at[silent].max() < 2700
    assert silent.sum() == pytest.approx(900, abs=1)
