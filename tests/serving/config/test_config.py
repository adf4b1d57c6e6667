from pathlib import Path

import pytest

from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.errors import ConfigError
from highwayman.serving.config.config import Config, load_config


def written(folder: Path, text: str) -> Path:
    path = folder / "highwayman.yaml"
    path.write_text(text)
    return path


def test_without_a_file_everything_has_a_default() -> None:
    assert load_config(None) == Config()
    assert load_config(None).objectives()["auto"].cost_weight == 0.15


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "cost_weights: {auto: 0.3}\npolicy: {floor: 0.1}\n"))
    weights = {name: objective.cost_weight for name, objective in config.objectives().items()}
    assert weights == {"auto": 0.3, "auto-cheap": 0.5, "auto-quality": 0.0}
    assert (config.policy.floor, config.encoder.engine) == (0.1, "static")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("encodr: {engine: onnx}", r"highwayman.yaml: unknown key 'encodr' \(did you mean 'encoder'\?\)"),
        ("encoder: {engin: onnx}", r"unknown key 'encoder.engin' \(did you mean 'engine'\?\)"),
        ("policy: {floor: 2}", "policy.floor: Input should be less than or equal to 1"),
        ("policy: [", "highwayman.yaml: "),
        ("cost_weights: {autoo: 1}", "cost_weights.autoo"),
        ("exploration: {usd_a_day: 1}", r"unknown key 'exploration.usd_a_day' \(did you mean 'usd_per_day'\?\)"),
        (
            "policy: {name: HierTs}",
            r"policy.name: unknown policy 'HierTs' \(did you mean 'HierTS'\?\)",
        ),
        ("trial: {share: 1.0}", "trial.share: Input should be less than 1"),
    ],
)
def test_a_mistake_is_told_with_the_file_and_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, text))


@pytest.mark.parametrize(
    "name",
    [
        "HierTS",
        "highwayman.bandit.hier_ts:HierTS",  # as written before
        "'highwayman.bandit.hier_ts:HierTS'",  # as written before
    ],
)
def test_a_shipped_policy_is_named_by_its_class_and_a_path_of_yesterday_means_the_same(
    tmp_path: Path, name: str
) -> None:
    assert load_config(written(tmp_path, f"policy: {{name: {name}}}\n")).policy.name == "HierTS"


def test_exploration_is_capped_where_the_file_says_so_and_trials_have_their_quota(tmp_path: Path) -> None:
    plain, asked = (
        load_config(None),
        load_config(written(tmp_path, "exploration: {usd_per_day: 2}\ntrial: {share: 0.1}")),
    )
    assert plain.exploration.cap() is None
    assert plain.trial.quota() == ProbationQuota(share=0.02, max_usd=10.0)
    assert isinstance(asked.exploration.cap(), ExplorationCap)
    assert asked.trial.quota() == ProbationQuota(share=0.1, max_usd=10.0)
