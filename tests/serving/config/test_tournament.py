"""The tournament's part of the configuration."""

from typing import Any

import pytest
from pydantic import ValidationError

from highwayman.serving.config.config import Config


def config(**tournament: Any) -> Config:
    return Config.model_validate({"tournament": tournament})


def test_without_challengers_the_guard_competes_alone_unless_it_is_turned_off() -> None:
    assert Config().tournament.contenders() == ["best-constant"]
    assert config(guard=False).tournament.contenders() == []


def test_with_challengers_the_configured_policy_is_scored_too() -> None:
    contenders = config(challengers=[{"name": "x"}]).tournament.contenders()
    assert contenders == ["best-constant", "configured", "x"]


@pytest.mark.parametrize(
    ("tournament", "why"),
    [
        ({"challengers": [{"name": "configured"}]}, "'configured' is taken"),
        ({"challengers": [{"name": "x"}, {"name": "x"}]}, "'x' is taken"),
        ({"ramp": [0.5, 0.1, 1.0]}, "must rise and end with 1.0"),
        ({"ramp": [0.1]}, "must rise and end with 1.0"),
        ({"challengers": [{"name": "x", "policy": {"name": "LinTSS"}}]}, "did you mean 'LinTS'"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_wrong(tournament: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        config(**tournament)


def test_a_challenger_without_cascades_is_scored_and_never_tried() -> None:
    tournament = config(challengers=[{"name": "x"}, {"name": "alone", "cascade": False}]).tournament
    assert tournament.contenders() == ["best-constant", "configured", "x", "alone"]
    assert tournament.rules().challengers == ("x",)
