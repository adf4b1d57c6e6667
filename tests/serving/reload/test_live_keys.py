from typing import Any

import pytest
from pydantic import ValidationError

from highwayman.serving.config.config import Config
from highwayman.serving.reload.live_keys import differences, with_live_keys


def config(**sections: Any) -> Config:
    return Config.model_validate(sections)


def test_what_may_change_is_taken_and_what_may_not_is_named_and_left_as_it_was() -> None:
    running = config(policy={"name": "LinTS"}, budget={"usd_per_day": 1.0}, limits={"redis_s": 0.1})
    loaded = config(
        policy={"name": "LinUCB", "floor": 0.2},
        limits={"redis_s": 0.3, "silence_s": 9.0},
        cascade={},
        namespace="other",
    )
    live, needs_restart = with_live_keys(running, loaded)
    assert needs_restart == ["limits.redis_s", "namespace", "policy.floor", "policy.floor_loss", "policy.name"]
    assert (live.budget.usd_per_day, live.limits.silence_s, live.cascade) == (None, 9.0, loaded.cascade)
    assert (live.policy, live.limits.redis_s, live.namespace) == (running.policy, 0.1, "default")


def test_a_configuration_that_does_not_change_is_the_same_afterwards_and_needs_no_restart() -> None:
    everything = config(
        objective={"points_per_usd": {"auto": 5.0}},
        context={"team": {"from": "header:x-team", "levels": ["a"]}},
        control={"share": 0.1},
        feedback={"posts_per_s": 3.0},
        retention={"prompts": True},
        exploration={"usd_per_day": 1.0},
    )
    assert with_live_keys(everything, everything) == (everything, [])


def test_keys_that_only_together_cannot_be_are_refused() -> None:
    with pytest.raises(ValidationError):
        with_live_keys(config(), config(objective={"points_per_s": 1.0}).model_copy(update={"latency_weight": 1.0}))


def test_differences_are_told_by_key_with_what_was_and_what_is() -> None:
    before = {"pool": {"a": {"usd": 1.0}, "b": {"usd": 2.0}}, "x": [1]}
    after = {"pool": {"a": {"usd": 3.0}}, "x": [1], "y": "z" * 500}
    told = differences(before, after)
    assert told["pool.a.usd"] == [1.0, 3.0]
    assert told["pool.b"] == [{"usd": 2.0}, None]
    assert [*told] == ["pool.a.usd", "pool.b", "y"]
    assert len(told["y"][1]) == 203


def test_a_section_that_comes_or_goes_is_told_whole_without_the_keys_that_say_nothing() -> None:
    said = config(tenants={"acme": {"limits": {"requests_per_minute": 600}}}).model_dump(mode="json")
    none = config().model_dump(mode="json")
    ((before, after),) = differences(said, none).values()
    assert (before["limits"], after) == ({"requests_per_minute": 600.0}, None)
