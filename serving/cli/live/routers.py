"""What commands that change running routers share: where these are, who speaks, and what came of it."""

import getpass
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import click

from highwayman.feedback.log.store import Store
from highwayman.serving.cli.context import LogOptions, place_command
from highwayman.serving.reload.from_afar import RunningRouters
from highwayman.serving.reload.shared_state import SharedConfig

WITHIN_S = 5.0  # workers have taken a change; they need two seconds at most


@dataclass(frozen=True, slots=True)
class RoutersOptions:
    """Where a command finds the routers."""

    log: LogOptions

    @asynccontextmanager
    async def open(self) -> AsyncIterator[RunningRouters]:
        """Yield the routers of the namespace that is meant, and say what is in force there.

        Raises ConfigError (also where there are none, or some of an earlier release), StoreUnavailable.
        """
        async with self.log.connected() as (client, namespace, _):
            routers = RunningRouters(Store(client, namespace), SharedConfig(client, namespace), namespace)
            _, announced = await routers.announced()
            click.echo(f"namespace {namespace}, lineage {announced.lineage}: in force", err=True)
            yield routers


def routers_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make a `RoutersOptions`, its first argument; the command is a coroutine."""
    return place_command(command, RoutersOptions)


def who() -> str:
    """Return who gives the command, as the log names them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


async def print_outcome(routers: RunningRouters, generation: int, changed: Mapping[str, Any]) -> None:
    """Say what has changed, by key, and who has it. Raises ClickException where a worker has not, or none runs."""
    for key, (before, after) in changed.items():
        click.echo(f"{key}: {_shown(before)} -> {_shown(after)}")
    workers = await routers.shared.everybody(generation, within_s=WITHIN_S)
    behind: dict[str, list[str]] = {}  # by why
    for name, report in workers.items():
        if report["error"] or report["generation"] < generation:
            behind.setdefault(report["error"] or "it does not answer", []).append(name)
    for key in dict.fromkeys(key for report in workers.values() for key in report["needs_restart"]):
        click.echo(f"needs a restart: {key}")
    for why, names in behind.items():
        click.echo(f"what was in force stays in {', '.join(names)}: {why}", err=True)
    if behind:
        count = sum(map(len, behind.values()))
        raise click.ClickException(f"{count} of {len(workers)} workers have not taken it")
    if not workers:
        raise click.ClickException("no router runs there; those to come take it at their start")
    click.echo(f"in force in {len(workers)} worker{'' if len(workers) == 1 else 's'}")


def _shown(value: Any) -> Any:
    return "-" if value is None else value
