from pathlib import Path
from typing import Any

import pytest

from highwayman.bandit.cascade.plan import CascadeRules, Threshold
from highwayman.env.errors import ConfigError
from highwayman.serving.config.config import Config, load_config


def loaded(cascade: Any) -> Config:
    return Config.model_validate({"cascade": cascade})


def test_without_a_word_there_are_no_cascades_and_with_none_more_a_learned_gate_looks_at_what_costs_nothing() -> None:
    assert Config().cascade is None
    cascade = loaded({}).cascade
    assert cascade is not None
    assert cascade.rules() == CascadeRules()
    assert [type(signal).__name__ for signal in cascade.load_signals()][:2] == ["Logprobs", "Refusal"]


def test_a_threshold_is_a_gate_that_is_not_learned() -> None:
    cascade = loaded({"gate": {"signal": "first_margin", "threshold": 0.7}, "max_stages": 3}).cascade
    assert cascade is not None
    assert cascade.rules() == CascadeRules(max_stages=3, threshold=Threshold("first_margin", 0.7))


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("{gate: {signal: frist_margin, threshold: .7}}", "did you mean 'first_margin'"),
        ("{signals: [Logprob]}", "did you mean 'Logprobs'"),
        ("{signals: [{Logprobs: {top: 1}}]}", "between 2 and 20"),
        ("{signals: [Verification, {Verification: {arm: a}}]}", "told by two signals: verified"),
        ("{signals: []}", "at least 1"),
        ("{signals: [{Logprobs: {}, Refusal: {}}]}", "an entry of its own"),
        ("{max_stages: 1}", "greater than or equal to 2"),
        ("{floor: .6}", "less than or equal to 0.5"),
        ("{gates: learned}", r"unknown key 'cascade.gates' \(did you mean 'gate'"),
        ("{aliases: [fast]}", "aliases"),
    ],
)
def test_what_is_wrong_with_it_is_said(yaml: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "highwayman.yaml"
    path.write_text(f"cascade: {yaml}\n")
    with pytest.raises(ConfigError, match=f"highwayman.yaml: .*{message}"):
        load_config(path)
