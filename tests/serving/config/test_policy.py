"""The policy's part of the configuration: rules in a file of their own, checked as everything else is."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from highwayman.serving.cli.main import main
from highwayman.serving.config.config import load_config

POOL = "{endpoint: 'http://127.0.0.1:9', model: m, price: unknown, context_window_tokens: 4096}"
RULES = """
tags: {task: [code, chat]}
rules:
  - {when: {tags: {task: code}, prompt_tokens: {below: 4000}}, arms: large}
  - {when: {tools: true}, arms: {large: 0.9, small: 0.1}}
otherwise: small
"""
CONFIG = "context: {{task: {{from: metadata:task, levels: [code, chat]}}}}\npolicy: {{name: Rules, rules: {file}}}\n"


def checked(folder: Path, rules: str, config: str = CONFIG) -> Result:
    (folder / "rules.yaml").write_text(rules)
    (folder / "pool.yaml").write_text(f"arms:\n  small: {POOL}\n  large: {POOL}\n")
    (folder / "highwayman.yaml").write_text(config.format(file=folder / "rules.yaml"))
    words = ["config", "check", str(folder / "highwayman.yaml"), "--pool", str(folder / "pool.yaml")]
    return CliRunner().invoke(main, words)


def test_a_file_of_rules_is_the_options_of_the_policy_and_another_content_another_lineage(tmp_path: Path) -> None:
    result = checked(tmp_path, RULES)
    assert result.exit_code == 0, result.output
    policy = load_config(tmp_path / "highwayman.yaml").policy
    assert (policy.name, policy.rules, policy.options["otherwise"]) == ("Rules", None, "small")
    other = checked(tmp_path, RULES.replace("otherwise: small", "otherwise: large"))
    assert other.output.splitlines()[0] != result.output.splitlines()[0]


@pytest.mark.parametrize(
    ("rules", "config", "says"),
    [
        (RULES.replace("arms: large", "arms: larg"), CONFIG, "no arm 'larg' in the pool (did you mean 'large'?)"),
        (RULES.replace("tools", "tool"), CONFIG, "rules[1].when.tool: unknown (did you mean 'tools'?)"),
        (RULES.replace("otherwise", "otherwize"), CONFIG, "unknown option 'otherwize' (did you mean 'otherwise'?)"),
        (RULES.replace("[code, chat]", "[code]"), CONFIG, "no such tag with the levels code is declared"),
        ("- a", CONFIG, "rules.yaml: must have rules, and may have otherwise and tags"),
        ("rules: [", CONFIG, "not valid YAML"),
        (RULES, CONFIG.replace("Rules", "LinTS"), "rules: is a file of the policy Rules, not of LinTS"),
    ],
)
def test_what_is_wrong_with_rules_is_told_before_anything_starts(
    tmp_path: Path, rules: str, config: str, says: str
) -> None:
    result = checked(tmp_path, rules, config)
    assert result.exit_code == 1, result.output
    assert says in " ".join(result.output.split())


def test_an_arm_of_a_split_that_the_pool_lacks_is_told(tmp_path: Path) -> None:
    split = "policy: {{name: Split, options: {{weights: {{smal: 1, large: 1}}}}}}"
    assert "no arm 'smal' in the pool (did you mean 'small'?)" in checked(tmp_path, RULES, split).output


def test_features_that_a_policy_ignores_make_a_lineage_and_unknown_ones_are_told(tmp_path: Path) -> None:
    blind, seeing, wrong = (
        checked(tmp_path, RULES, f"policy: {{{{name: HierTS{ignores}}}}}")
        for ignores in (", ignores: [text, kinds]", "", ", ignores: [txt]")
    )
    assert (blind.exit_code, seeing.exit_code, wrong.exit_code) == (0, 0, 1), blind.output
    assert blind.output.splitlines()[0] != seeing.output.splitlines()[0]
    assert "policy.ignores: there are no features 'txt' (did you mean 'text'?); there are text, kinds" in wrong.output
