import json
import subprocess
import sys
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


def test_a_command_that_is_mistyped_is_told_beside_the_one_that_was_meant() -> None:
    result = CliRunner().invoke(main, ["sreve"])
    assert result.exit_code == 2
    assert "'serve'" in result.output


def test_a_router_that_starts_loads_no_simulator_and_keys_load_no_router() -> None:
    code = """
import sys
from highwayman.serving.cli.main import main
main(["keys", "--help"], standalone_mode=False)
main(["serve", "--help"], standalone_mode=False)
print("loaded", *(name for name in ("highwayman.sims", "fastapi", "torch") if name in sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1].split() == ["loaded"]


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
