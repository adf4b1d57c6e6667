"""The options that `up` and `serve` share."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from highwayman.serving.cli.context import STATE_DIR

DEFAULT_PORT = 8790


def router_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of every router."""
    for option in reversed((
        click.option("--host", default="127.0.0.1", show_default=True, help="Beyond loopback, needs API keys."),
        click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True,
                     help="Where it listens."),
        click.option("--admin-port", type=click.IntRange(1, 65535),
                     help="For /metrics, /v1/policy, /v1/admin ...; on loopback unless admin.host says otherwise."),
        click.option("--state-dir", type=STATE_DIR, help="Where the embedded Valkey keeps its data."),
        click.option("--redis-url", envvar="REDIS_URL", help="A Redis or Valkey to use instead of the embedded one."),
        click.option("--config", type=click.Path(path_type=Path, exists=True), help="highwayman.yaml"),
        click.option("--encoder", help="static | onnx | transformers | module:Class"),
        click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True,
                     help="Router processes behind the port."),
        click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info",
                     show_default=True, help="Of what the router says on standard error; no prompt, ever."),
        click.option("--log-format", type=click.Choice(["text", "json"]),
                     help="Of what it says; as `log_format` in the configuration if it is not given."),
        click.option("--access-log/--no-access-log", default=False, show_default=True,
                     help="A line for each request: who, path, status, seconds, decision."),
    )):  # fmt: skip
        command = option(command)
    return command


def set_log_level(name: str) -> None:
    """Log our own messages from this level on; others' from there on, or from info: they may show what is sent."""
    level = logging.getLevelNamesMapping()[name.upper()]
    logging.getLogger().setLevel(max(level, logging.INFO))
    logging.getLogger("highwayman").setLevel(level)
    logging.getLogger("highwayman.access").setLevel(logging.INFO)
