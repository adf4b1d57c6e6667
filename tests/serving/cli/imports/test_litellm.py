from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from highwayman.env.pool.pool_file import PoolFile, load_pool
from highwayman.serving.cli.main import main
from highwayman.serving.config.config import Config, load_config

# In the shapes that LiteLLM's documentation gives: groups of deployments, providers, modes, budgets, caches, fallbacks.
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://europe.example/
      api_key: os.environ/AZURE_API_KEY_EU
      api_version: "2024-08-01-preview"
      rpm: 6
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-ca, api_base: "https://canada.example/", api_key: os.environ/AZURE_API_KEY_CA}
  - model_name: mistral-7b
    litellm_params: {model: hosted_vllm/mistralai/Mistral-7B, api_base: "http://gpu-1:8000/v1", temperature: 0}
  - model_name: mistral-7b
    litellm_params: {model: hosted_vllm/mistralai/Mistral-7B, api_base: "http://gpu-2:8000/v1", temperature: 0}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4, api_key: sk-ant-in-the-clear}
    model_info:
      input_cost_per_token: 0.000003
      output_cost_per_token: 0.000015
      max_input_tokens: 200000
      supports_function_calling: true
      supports_vision: true
  - model_name: embed
    litellm_params: {model: openai/text-embedding-3-small, api_key: os.environ/OPENAI_API_KEY}
    model_info: {mode: embedding}
  - model_name: claude-on-bedrock
    litellm_params: {model: bedrock/anthropic.claude-v2, aws_region_name: us-east-1}
  - model_name: "openai/*"
    litellm_params: {model: "openai/*"}
litellm_settings:
  drop_params: true
  max_budget: 100
  budget_duration: 30d
  request_timeout: 600
  cache: true
  cache_params: {type: redis, ttl: 600, host: localhost}
  fallbacks: [{gpt-4o: [claude]}]
router_settings: {routing_strategy: simple-shuffle, redis_host: os.environ/REDIS_HOST}
general_settings: {master_key: sk-master-in-the-clear}
environment_variables: {LANGFUSE_SECRET_KEY: sk-lf-in-the-clear}
"""


def imported(folder: Path, config: str, *words: str) -> Result:
    (folder / "config.yaml").write_text(config)
    return CliRunner().invoke(main, ["import", "litellm", str(folder / "config.yaml"), "--to", str(folder), *words])


def loaded(folder: Path, config: str) -> tuple[PoolFile, Config, str]:
    result = imported(folder, config)
    assert result.exit_code == 0, result.output
    return load_pool(folder / "pool.yaml"), load_config(folder / "highwayman.yaml"), result.stdout


def arm_of(folder: Path, params: dict[str, Any], **model: Any) -> dict[str, Any]:
    """Return the pool's entry of a single deployment."""
    loaded(folder, yaml.safe_dump({"model_list": [{"model_name": "m", "litellm_params": params, **model}]}))
    (arm,) = yaml.safe_load((folder / "pool.yaml").read_text())["arms"].values()
    return dict(arm)


def test_deployments_become_arms_and_those_that_differ_in_their_server_alone_are_replicas(tmp_path: Path) -> None:
    pool, _, _ = loaded(tmp_path, CONFIG)
    arms = {arm.name: arm for arm in pool.arms}
    assert list(arms) == ["gpt-4o", "gpt-4o-2", "mistral-7b", "claude"]
    assert arms["mistral-7b"].endpoints == ("http://gpu-1:8000", "http://gpu-2:8000")
    assert arms["mistral-7b"].profile.temperature == 0.0
    assert (arms["claude"].usd_per_mtok_in, arms["claude"].usd_per_mtok_out) == (3.0, 15.0)
    assert (arms["claude"].context_window_tokens, arms["claude"].tools) == (200_000, True)
    assert arms["claude"].modalities == {"text", "image"}
    assert arms["gpt-4o"].headers == {"api-key": "${AZURE_API_KEY_EU}"}
    path = "/openai/deployments/gpt-4o-eu/chat/completions?api-version=2024-08-01-preview"
    assert arms["gpt-4o"].quirks.chat_path == path
    assert [(model.arm.name, model.serves) for model in pool.named] == [("embed", {"embeddings"})]


def test_budget_cache_and_timeout_are_carried_over(tmp_path: Path) -> None:
    _, config, _ = loaded(tmp_path, CONFIG)
    assert (config.budget.usd_per_day, config.budget.hard) == (pytest.approx(100 / 30), True)
    assert config.answer_cache is not None
    assert config.answer_cache.lifetime_s == 600.0
    assert config.limits.all_attempts_s == 600.0


def test_what_could_not_be_carried_over_is_said_and_what_was_is_not(tmp_path: Path) -> None:
    _, _, said = loaded(tmp_path, CONFIG)
    for place in (
        "model_list[0] (gpt-4o).rpm", "model_list[1] (gpt-4o): is the arm 'gpt-4o-2'",
        "model_list[6] (claude-on-bedrock)", "model_list[7] (openai/*)", "litellm_settings.drop_params",
        "litellm_settings.fallbacks", "router_settings.routing_strategy (simple-shuffle)", "router_settings.redis_host",
        "general_settings.master_key", "environment_variables",
        "litellm_settings.cache_params.host", "prices of gpt-4o, gpt-4o-2, mistral-7b",
        "context windows of gpt-4o, mistral-7b",
    ):  # fmt: skip
        assert f"  {place}" in said
    assert "request_timeout" not in said
    assert "api_version" not in said


def test_keys_that_stand_in_the_clear_are_neither_written_nor_said(tmp_path: Path) -> None:
    _, _, said = loaded(tmp_path, CONFIG)
    written = (tmp_path / "pool.yaml").read_text() + (tmp_path / "highwayman.yaml").read_text()
    assert "in-the-clear" not in said + written
    assert "ANTHROPIC_API_KEY" in said.split("not carried over")[0], "to be set in the environment"


def test_files_that_are_there_are_replaced_only_by_force(tmp_path: Path) -> None:
    (tmp_path / "highwayman.yaml").write_text("namespace: mine\n")
    refused = imported(tmp_path, CONFIG)
    assert refused.exit_code == 1
    assert "give --force" in refused.output
    assert (tmp_path / "highwayman.yaml").read_text() == "namespace: mine\n"
    assert not (tmp_path / "pool.yaml").exists()
    assert imported(tmp_path, CONFIG, "--force").exit_code == 0
    assert "budget" in (tmp_path / "highwayman.yaml").read_text()


def test_the_checks_of_pool_and_configuration_take_what_is_written(tmp_path: Path) -> None:
    loaded(tmp_path, CONFIG)
    files = [str(tmp_path / name) for name in ("highwayman.yaml", "pool.yaml")]
    for words in (["config", "check", files[0], "--pool", files[1]], ["pool", "check", files[1]]):
        checked = CliRunner().invoke(main, words)
        assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize(
    ("params", "endpoint", "chat_path", "key"),
    [
        ({"model": "gpt-5"}, "https://api.openai.com", None, "OPENAI_API_KEY"),
        ({"model": "groq/llama"}, "https://api.groq.com/openai", None, "GROQ_API_KEY"),
        ({"model": "together_ai/llama"}, "https://api.together.xyz", None, "TOGETHERAI_API_KEY"),
        ({"model": "perplexity/sonar"}, "https://api.perplexity.ai", "/chat/completions", "PERPLEXITYAI_API_KEY"),
        ({"model": "ollama/llama3"}, "http://localhost:11434", None, None),
        ({"model": "openai/x", "api_base": "http://gpu:8000"}, "http://gpu:8000", None, None),
        ({"model": "openai/x", "api_base": "http://gpu/a", "api_key": ""}, "http://gpu", "/a/chat/completions", None),
    ],
)  # fmt: skip
def test_a_provider_is_asked_where_its_clients_ask_it(
    tmp_path: Path, params: dict[str, str], endpoint: str, chat_path: str | None, key: str | None
) -> None:
    arm = arm_of(tmp_path, params)
    assert (arm["endpoints"], arm.get("api_key_env")) == ([endpoint], key)
    assert arm.get("quirks", {}).get("chat_path") == chat_path


def test_a_server_in_a_variable_is_looked_up_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_BASE", "http://gpu:8000/v1")
    arm = arm_of(
        tmp_path, {"model": "hosted_vllm/x", "api_base": "os.environ/GPU_BASE"}, model_info={"max_tokens": 4096}
    )
    assert (arm["endpoints"], arm["context_window_tokens"]) == (["http://gpu:8000"], 4096)


def test_a_file_of_which_nothing_can_be_routed_to_writes_nothing(tmp_path: Path) -> None:
    result = imported(tmp_path, "model_list: [{model_name: a, litellm_params: {model: bedrock/a}}]")
    assert result.exit_code == 1
    assert "'bedrock' does not take OpenAI's requests" in result.output
    assert not (tmp_path / "pool.yaml").exists()
    other = imported(tmp_path, "arms: {}")
    assert "has no model_list" in other.output


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("{litellm_params: {model: gpt-5, temperature: warm}}", "model_list[0]"),
        ("{litellm_params: [gpt-5]}", "model_list[0]"),
        ("gpt-5", "model_list[0]"),
        (
            "{litellm_params: {model: gpt-5}}\nlitellm_settings: {max_budget: [1], budget_duration: 1d}",
            "litellm_settings",
        ),
    ],
)
def test_what_has_another_shape_than_documented_is_told_by_its_place(tmp_path: Path, model: str, place: str) -> None:
    result = imported(tmp_path, f"model_list:\n  - {model}\n")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), "no traceback"
    assert f"Error: {place}" in result.output
    assert "cannot be read" in result.output
