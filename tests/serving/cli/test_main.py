import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from highwayman.serving.cli.main import main

POOL = """
arms:
  small: {endpoint: "http://127.0.0.1:9", model: m, price: unknown, context_window_tokens: 4096}
"""


def test_help_names_every_command() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    for command in ("up", "serve", "top", "pool"):
        assert command in text


def test_serving_beyond_loopback_without_a_key_is_refused(tmp_path: Path) -> None:
    pool = tmp_path / "pool.yaml"
    pool.write_text(POOL)
    command = ["serve", "--pool", str(pool), "--host", "0.0.0.0"]
    result = CliRunner().invoke(main, command, env={"HIGHWAYMAN_API_KEYS": ""})
    assert result.exit_code == 1
    assert "set HIGHWAYMAN_API_KEYS" in result.output


def test_a_pool_file_that_is_not_there_is_told_in_a_line() -> None:
    result = CliRunner().invoke(main, ["serve", "--pool", "nowhere.yaml"])
    assert result.exit_code == 1
    assert "nowhere.yaml" in result.output
    assert "Traceback" not in result.output


def test_top_without_a_router_says_how_to_start_one() -> None:
    result = CliRunner().invoke(main, ["top", "--once", "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "make run" in result.output


@pytest.mark.parametrize("key", ["arms"])
def test_the_pools_schema_is_printed_for_editors(key: str) -> None:
    schema = json.loads(CliRunner().invoke(main, ["pool", "schema"]).output)
    assert key in schema["properties"]
