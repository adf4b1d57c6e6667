"""What was imported serves: the same models by the same names, the same feedback at the same address."""

import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner

from highwayman.env.pool.pool_file import load_pool
from highwayman.serving.cli.main import main
from highwayman.serving.config.config import load_config
from tests.serving.running_router import ask, running_router
from tests.upstream_server import Say, ScriptedUpstream

CHAT = "/v1/chat/completions"
LITELLM = """
model_list:
  - model_name: gpt-4o
    litellm_params: {{model: azure/gpt-4o-eu, api_base: "{url}/", api_key: os.environ/AZURE_KEY}}
  - model_name: mistral-7b
    litellm_params: {{model: hosted_vllm/mistralai/Mistral-7B, api_base: "{url}/v1", api_key: os.environ/GPU_KEY}}
"""
TENSORZERO = """
[functions.draft_email]
type = "chat"
[functions.draft_email.variants.only]
type = "chat_completion"
model = "qwen"
[models.qwen]
routing = ["gpu"]
[models.qwen.providers.gpu]
type = "vllm"
model_name = "qwen-upstream"
api_base = "{url}/v1/"
api_key_location = "none"
[metrics.task_success]
type = "boolean"
level = "inference"
optimize = "max"
"""


def imported(product: str, name: str, text: str, folder: Path) -> None:
    (folder / name).write_text(text)
    result = CliRunner().invoke(main, ["import", product, str(folder / name), "--to", str(folder)])
    assert result.exit_code == 0, result.output


async def test_litellms_models_answer_by_their_names_and_by_auto_with_their_keys(
    tmp_path: Path, valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_KEY", "azure-secret")
    monkeypatch.setenv("GPU_KEY", "gpu-secret")
    async with ScriptedUpstream() as upstream:
        upstream.script("gpt-4o-eu", Say("From Azure."))
        upstream.script("mistralai/Mistral-7B", Say("From a GPU."))
        imported("litellm", "config.yaml", LITELLM.format(url=upstream.url), tmp_path)
        arms = load_pool(tmp_path / "pool.yaml").arms
        async with running_router(arms, valkey_url, namespace) as router:
            for model, text in (("gpt-4o", "From Azure."), ("mistral-7b", "From a GPU.")):
                status, answer, _ = await router.post(CHAT, ask(model=model))
                assert (status, answer["choices"][0]["message"]["content"]) == (200, text)
            assert (await router.post(CHAT, ask(model="auto")))[0] == 200
        assert upstream.paths[0].startswith("/openai/deployments/gpt-4o-eu/chat/completions")
        assert upstream.headers[0]["api-key"] == "azure-secret"
        assert "authorization" not in upstream.headers[0]
        assert upstream.headers[1]["authorization"] == "Bearer gpu-secret"


async def test_tensorzeros_feedback_counts_for_the_imported_metric(
    tmp_path: Path, valkey_url: str, namespace: str
) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.script("qwen-upstream", Say("Dear reader."))
        imported("tensorzero", "tensorzero.toml", TENSORZERO.format(url=upstream.url), tmp_path)
        arms, config = load_pool(tmp_path / "pool.yaml").arms, load_config(tmp_path / "highwayman.yaml")
        feedback = {"feedback": config.feedback.model_dump(exclude_unset=True)}
        async with running_router(arms, valkey_url, namespace, config=feedback) as router:
            inference = str(uuid.uuid4())
            body = ask(metadata={"request_id": inference})
            _, _, headers = await router.post(CHAT, body)
            said = {"inference_id": inference, "metric_name": "task_success", "value": True}
            status, receipt, _ = await router.post("/feedback", said)
            assert status == 200, receipt
            decision = await router.decision(headers["x-highwayman-decision"], feedback=1)
            assert [(row["metric"], row["value"]) for row in decision["feedback"]] == [("task_success", 1.0)]
