"""`highwayman up`: Valkey, a local pool and the router."""

import asyncio
import os
import sys
from pathlib import Path

import click
from rich.console import Console

from highwayman.serving.cli.router.banner import operators_url
from highwayman.serving.cli.router.router_options import DEFAULT_PORT, router_options, set_log_level
from highwayman.serving.config.config import load_config
from highwayman.serving.processes.supervisor import UpOptions, up
from highwayman.serving.processes.workers import forwarded_cli_options
from highwayman.serving.state.local_state import state_folder
from highwayman.serving.state.operator_key import operator_key_path
from highwayman.serving.telemetry.json_logs import LogFormat, set_log_format


@click.command("up")
@router_options
@click.option(
    "--pool", "pool_file", type=click.Path(path_type=Path, exists=True), help="Instead of the local CPU pool."
)
def up_command(  # noqa: PLR0913, PLR0917  (one parameter per option)
    host: str, port: int, admin_port: int | None, state_dir: Path | None, redis_url: str | None, config: Path | None,
    encoder: str | None,
    workers: int, log_level: str, log_format: LogFormat | None, access_log: bool, pool_file: Path | None,
) -> None:  # fmt: skip
    """Start Valkey, a local pool of real models and the router: everything on this machine."""
    set_log_level(log_level)
    loaded = load_config(config)
    set_log_format(log_format or loaded.log_format)
    options = forwarded_cli_options(
        click.get_current_context(), but={"host", "port", "redis_url", "pool_file", "config"}
    )
    state, drain_s = state_dir or state_folder(), loaded.limits.drain_s
    operators = operators_url(loaded, host, port, admin_port=admin_port)
    up_options = UpOptions(host, port, state, redis_url, pool_file, config, drain_s, options)
    console = Console(stderr=True)
    asyncio.run(
        up(
            up_options,
            lambda text: console.print(f"[dim]{text}"),
            lambda: click.echo(_banner(port, state, operators)),
        )
    )


def _banner(port: int, state: Path, operators: str) -> str:
    """Return what to do next; commands stand alone on their lines, to be pasted."""
    url, name = f"http://127.0.0.1:{port}", sys.argv[0]
    usual = f"http://127.0.0.1:{DEFAULT_PORT}"
    top_told = "" if operators == usual else f" --url {operators}"
    demo_told = "" if url == usual else f" --url {url}"
    demo_told += "" if operators == url else f" --admin-url {operators}"
    command = "highwayman" if os.path.isabs(name) else name
    return f"""
Highwayman is up. Open {operators}/dashboard

OpenAI API: {url}/v1   Its other routes: {url}/docs
Ask, with any OpenAI client (base_url above, model "auto"), or:

curl -i {url}/v1/chat/completions -H 'content-type: application/json' \\
  -d '{{"model": "auto", "messages": [{{"role": "user", "content": "What is the capital of France?"}}]}}'

Send a thumb, with the id in the answer's x-highwayman-decision header:

curl {url}/v1/feedback -H 'content-type: application/json' \\
  -d '{{"decision_id": "hw-...", "metric": "thumbs", "value": true}}'

See it learn:    {command} demo{demo_told}    (240 prompts, a thumb each)
Watch the arms:  {command} top{top_told}    (the same as JSON: {operators}/v1/policy)
Once API keys are given out, the dashboard asks for one; this machine's own is in
{operator_key_path(state)}
Stop with Ctrl-C; what was learned is kept.
"""
