import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import load_pool
from highwayman.serving.cli.router.pool import pool as command
from highwayman.serving.processes.vllm_discover import ArmDefaults, DiscoveryError, ServedModel, discover, render_pool

CARDS = [
    {"id": "org/Base-1B", "object": "model", "owned_by": "vllm", "root": "org/Base-1B", "max_model_len": 2048},
    {
        "id": "fox",
        "object": "model",
        "owned_by": "vllm",
        "root": "/lora",
        "parent": "org/Base-1B",
        "max_model_len": None,
    },
]


class ModelServer(http.server.ThreadingHTTPServer):
    """Answers /v1/models with `body`, if the key is `key`."""

    status = 200
    body = json.dumps({"object": "list", "data": CARDS}).encode()
    key: str | None = None

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a client that left early."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        wanted = self.server.key is None or self.headers["authorization"] == f"Bearer {self.server.key}"
        status = (self.server.status if self.path == "/v1/models" else 404) if wanted else 401
        self.send_response(status)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(*urls: str, **options: Any) -> list[ServedModel]:
    return asyncio.run(discover(urls, **options))


def test_an_adapter_has_its_window_from_its_parent(server: ModelServer) -> None:
    assert ask(f"{server.url}/v1/") == [
        ServedModel(server.url, "org/Base-1B", None, 2048),
        ServedModel(server.url, "fox", "org/Base-1B", 2048),
    ]


def test_what_is_written_is_a_pool_file(server: ModelServer, tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text(render_pool(ask(server.url), ArmDefaults()))
    base, adapter = load_pool(path).arms
    assert (base.name, base.model, base.endpoints, base.has_price) == ("base-1b", "org/Base-1B", (server.url,), False)
    assert (adapter.name, adapter.model, adapter.tags) == ("fox", "fox", {"lora_of": "org/Base-1B"})
    assert adapter.context_window_tokens == 2048


def test_servers_of_one_model_are_its_replicas_and_the_smallest_window_counts(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    models = [ServedModel("http://a:1", "m", None, 4096), ServedModel("http://b:1", "m", None, 2048)]
    path.write_text(render_pool(models, ArmDefaults(0.5, 1.5, api_key_env="KEY")))
    (arm,) = load_pool(path).arms
    assert (arm.endpoints, arm.context_window_tokens) == (("http://a:1", "http://b:1"), 2048)
    assert (arm.usd_per_mtok_in, arm.usd_per_mtok_out, arm.api_key_env) == (0.5, 1.5, "KEY")


def test_every_model_id_becomes_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    ids = ["a/M", "b/m", "C:/M/", "auto", "///", "e m\n", "é", "x" * 300]
    path.write_text(render_pool([ServedModel("http://a:1", each, None, 9) for each in ids], ArmDefaults()))
    arms = load_pool(path).arms
    assert [arm.name for arm in arms] == ["m", "m-2", "m-3", "model-auto", "model-", "e-m", "model--2", "x" * 100]
    assert [arm.model for arm in arms] == ids


def test_a_window_nobody_tells_is_asked_for() -> None:
    model = ServedModel("http://a:1", "m")
    with pytest.raises(DiscoveryError, match=r"does not tell the window of 'm'\. Give it: --context-window-tokens N"):
        render_pool([model], ArmDefaults())
    assert "context_window_tokens: 512" in render_pool([model], ArmDefaults(context_window_tokens=512))


@pytest.mark.parametrize("prices", [(1.0, None), (None, 1.0), (float("nan"), 1.0), (-1.0, 1.0)])
def test_a_price_that_is_none_is_refused(prices: tuple[float | None, float | None]) -> None:
    with pytest.raises(ConfigError, match="price"):
        ArmDefaults(*prices)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"data": []}', "serves no models"),
        (404, b"{}", "status 404, not the answer of an OpenAI server"),
        (200, b"<html>", "not the answer of an OpenAI server"),
        (200, b"[" * 99_999, "not the answer of an OpenAI server"),
        (200, b'{"data": {"id": "m"}}', "not the answer of an OpenAI server"),
        (200, b'{"data": [{"name": "m"}]}', "not the answer of an OpenAI server"),
        (200, b'{"data": [{"id": 3}]}', "not the answer of an OpenAI server"),
        (200, b'{"data": null}', "not the answer of an OpenAI server"),
        (200, b"\xff", "not the answer of an OpenAI server"),
        (401, b"{}", "wants another key"),
    ],
)
def test_an_answer_that_is_no_list_of_models_is_told_as_such(
    server: ModelServer, status: int, body: bytes, said: str
) -> None:
    server.status, server.body = status, body
    with pytest.raises(DiscoveryError, match=said):
        ask(server.url)


def test_a_server_that_is_not_there_is_told_as_such(server: ModelServer) -> None:
    with pytest.raises(DiscoveryError, match=r"http://127\.0\.0\.1:9/v1/models: not reachable"):
        ask(server.url, "http://127.0.0.1:9")
    with pytest.raises(DiscoveryError, match="is no base URL"):
        ask("localhost:8000")


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, arguments, env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_the_command_writes_a_file_and_never_over_another_unless_forced(server: ModelServer, tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    assert run("discover", server.url, "--out", str(path)) == (0, f"{path}: base-1b, fox\n")
    path.write_text("mine")
    code, output = run("discover", server.url, "--out", str(path))
    assert (code, path.read_text()) == (1, "mine")
    assert "--force to replace all that is in it" in output
    assert run("discover", server.url, "--out", str(path), "--force")[0] == 0
    assert len(load_pool(path).arms) == 2


def test_the_command_says_that_nobody_knows_of_tools_where_the_server_does_not_tell(server: ModelServer) -> None:
    assert run("discover", server.url)[1].count("tools: unknown") == 2  # it answers no chats at all
    assert "tools" not in run("discover", server.url, "--no-probe-tools")[1]


def test_the_command_takes_the_key_from_the_environment_and_writes_only_its_name(
    server: ModelServer, tmp_path: Path
) -> None:
    server.key = "hunter2"
    assert run("discover", server.url)[0] == 1
    code, output = run("discover", server.url, "--api-key-env", "POOL_KEY", POOL_KEY="hunter2")
    assert code == 0
    assert "api_key_env: POOL_KEY" in output
    assert "hunter2" not in output


def test_errors_of_the_commands_are_lines_not_tracebacks(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    assert run("check", str(path)) == (1, f"Error: {path}: no such file\n")
    path.write_text("arms: {a: {endpoint: 'http://h:1', model: m, price: unknown, context_window_tokens: 9}}")
    assert run("check", str(path)) == (0, f"{path}: 1 arm\n  a: m | http://h:1 | price unknown | 9 tokens\n")
    assert run("launch", str(path)) == (1, "Error: no arm has a `launch` entry, so there is no server to start.\n")
    assert run("launch", str(path), "--python", "/no/python")[1].startswith("Error: /no/python: no such program.")


def test_the_schema_command_prints_json() -> None:
    code, output = run("schema")
    assert code == 0
    assert json.loads(output)["title"] == "Highwayman pool"
