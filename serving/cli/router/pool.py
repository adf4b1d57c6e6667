"""The commands of `highwayman pool`."""

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import click

from highwayman.env.pool.pool_file import PoolFile, load_pool
from highwayman.env.pool.schema import json_schema
from highwayman.env.types import Arm
from highwayman.serving.cli.loading import LazyGroup
from highwayman.serving.processes.vllm_discover import ArmDefaults, discover, render_pool
from highwayman.serving.processes.vllm_launch import find_devices, plan_servers
from highwayman.serving.processes.vllm_supervise import LaunchOptions, run_pool

_EDITS = ("add", "drain", "price", "probation", "remove", "reset", "show", "undrain")  # of running routers
_PLACES = {
    **dict.fromkeys(("check", "discover", "launch", "schema"), ""),  # here
    **{name: f"highwayman.serving.cli.live.pool_edits:{name}" for name in _EDITS},
}


@click.group(cls=LazyGroup, places=_PLACES)
def pool() -> None:
    """Look after the pool: the models Highwayman routes to."""


@pool.command()
@click.argument("file", type=click.Path(path_type=Path), default="pool.yaml")
def check(file: Path) -> None:
    """Say what is wrong with a pool file, or what is in it."""
    pool_file = load_pool(file)
    click.echo(f"{file}: {len(pool_file.arms)} arm{'' if len(pool_file.arms) == 1 else 's'}")
    for arm in pool_file.arms:
        click.echo(f"  {arm.name}: {_summary(arm, pool_file)}")


@pool.command()
def schema() -> None:
    """Print the JSON Schema of pool files, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))


@pool.command("discover")
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write, instead of printing.")
@click.option("--force", is_flag=True, help="Replace the file, and all that is in it.")
@click.option("--usd-per-mtok-in", type=float, help="Dollars per million tokens read, for every arm found.")
@click.option("--usd-per-mtok-out", type=float, help="Dollars per million tokens written.")
@click.option("--context-window-tokens", type=click.IntRange(min=1), help="Where a server does not tell it.")
@click.option("--api-key-env", help="The environment variable that holds the servers' key.")
@click.option(
    "--probe-tools/--no-probe-tools",
    default=True,
    show_default=True,
    help="Ask each model for a token, with a tool and without, to see whether it calls tools.",
)
def discover_command(urls: tuple[str, ...], out: Path | None, force: bool, probe_tools: bool, **defaults: Any) -> None:
    """Ask running servers what they serve, and write it as a pool file."""
    arm_defaults = ArmDefaults(**defaults)
    if out and out.exists() and not force:
        raise click.ClickException(
            f"{out} is there already. Give another --out, or --force to replace all that is in it."
        )
    key = os.environ.get(arm_defaults.api_key_env) if arm_defaults.api_key_env else None
    models = asyncio.run(discover(urls, api_key=key, probe_tools=probe_tools))
    text = render_pool(models, arm_defaults)
    if out is None:
        click.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    click.echo(f"{out}: {', '.join(arm.name for arm in load_pool(out).arms)}")


@pool.command()
@click.argument("file", type=click.Path(path_type=Path), default="pool.yaml")
@click.option(
    "--python", envvar="HIGHWAYMAN_VLLM_PYTHON", default=sys.executable, help="The interpreter that has vllm."
)
@click.option("--log-folder", type=click.Path(path_type=Path, file_okay=False), help="Where the servers' logs go.")
@click.option("--ready-within", type=click.FloatRange(min=1), default=600.0, help="Seconds a server may take to start.")
def launch(file: Path, python: str, log_folder: Path | None, ready_within: float) -> None:
    """Start a vLLM server for each arm that has a `launch` entry, and keep them up."""
    if shutil.which(python) is None:
        raise click.ClickException(f"{python}: no such program. Name the interpreter that has vllm with --python.")
    servers = plan_servers(load_pool(file), find_devices(os.environ), python=python)
    launch_options = LaunchOptions(log_folder or _log_folder(), echo=_echo, ready_within_s=ready_within)

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_pool(servers, launch_options, stop)

    asyncio.run(main())


def _echo(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()


def _log_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "highwayman" / "vllm"


def _summary(arm: Arm, pool_file: PoolFile) -> str:
    price = f"${arm.usd_per_mtok_in:g} in, ${arm.usd_per_mtok_out:g} out" if arm.has_price else "price unknown"
    parts = [arm.model, " ".join(arm.endpoints), price, f"{arm.context_window_tokens} tokens"]
    if arm.state != "active":
        parts.append(arm.state.value)
    if arm.name in pool_file.launches:
        parts.append("launched here")
    return " | ".join(parts)
