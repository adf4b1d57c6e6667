"""The commands of `highwayman snapshot`: what was learned, as versions and files."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from highwayman.env.errors import ConfigError
from highwayman.env.types import Control, ControlKind
from highwayman.feedback.learning import snapshot_file
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.log.event_id import sort_key
from highwayman.serving.cli.context import LogOptions, log_options, print_report
from highwayman.serving.cli.errors import PlainErrorGroup

_LOOK_S = 0.1
_PATIENCE_S = 30.0

_json = click.option("--json", "as_json", is_flag=True, help="For machines.")
_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group(cls=PlainErrorGroup)
def snapshot() -> None:
    """Look after what was learned: keep it, bring it back, go back to an older version."""


@snapshot.command()
@_file
@_json
@log_options
async def save(options: LogOptions, file: Path, as_json: bool) -> None:
    """Write what is in force to FILE."""
    async with options.open() as (client, factory):
        published = await factory.publications(client).load()
        if published is None:
            raise ConfigError(f"nothing is published for lineage {factory.lineage}; is this the router's --config?")
        snapshot_file.write_snapshot(file, published, lineage=factory.lineage)
    print_report(
        {"version": published.stamp.version, "position": published.snapshot.position}, as_json=as_json, of=factory
    )


@snapshot.command()
@_file
@click.option("--force", is_flag=True, help="Even if events between it and the log's start are missing.")
@_json
@log_options
async def restore(options: LogOptions, file: Path, force: bool, as_json: bool) -> None:
    """Put the snapshot in FILE in force; the log is learned from its position on."""
    async with options.open() as (client, factory):
        published = snapshot_file.read_snapshot(file, lineage=factory.lineage)
        factory.learner().restore(published.snapshot)  # refused here, it changes nothing
        trimmed = await factory.store(client).trimmed_upto()
        if sort_key(trimmed) > sort_key(published.snapshot.position) and not force:
            raise ConfigError(
                f"{file} knows the log up to {published.snapshot.position}, the log begins after {trimmed}: what lies "
                "between would never be learned. `rebuild --from ARCHIVE --publish` learns all of it; "
                "--force restores the snapshot all the same"
            )
        version = await factory.publications(client).force_publish(published.snapshot, holder="restore", at=time.time())
        if version is None:
            raise ConfigError("another learner took over meanwhile; nothing was changed, try again")
    print_report({"version": version, "position": published.snapshot.position}, as_json=as_json, of=factory)


@snapshot.command("list")
@log_options
async def list_command(options: LogOptions) -> None:
    """List the versions that are kept, and what each had learned."""
    async with options.open() as (client, factory):
        versions = await factory.version_history(client).all()
        published = await factory.publications(client).load()
    in_force = published.stamp.version if published else "nothing"
    table = Table(title=f"lineage {factory.lineage}, in force: {in_force}", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("version", "kept at (UTC)", "decisions", "with feedback", "position"):
        table.add_column(name, justify="right", no_wrap=True)
    for info in versions:
        at = datetime.fromtimestamp(info.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(str(info.version), at, str(info.decisions), str(info.feedback), info.position)
    Console().print(table)


@snapshot.command()
@click.argument("version", type=click.IntRange(min=1))
@_json
@log_options
async def rollback(options: LogOptions, version: int, as_json: bool) -> None:
    """Go back to a kept VERSION: feedback that came after it does not count any more."""
    async with options.open(for_all=True) as (client, factory):
        versions, publications = factory.version_history(client), factory.publications(client)
        kept = {info.version: info for info in await versions.all()}
        if version not in kept:
            raise ConfigError(f"version {version} is not kept; kept are {', '.join(map(str, kept)) or 'none'}")
        back_to = kept[version].position
        detail = {"position": back_to, "version": version}
        event_id = await factory.store(client).append(Control(time.time(), ControlKind.ROLLBACK, detail))
        await _followed(publications, event_id)
        published = await publications.load()
    print_report(
        {"went_back_to": back_to, "version": published.stamp.version if published else None, "event": event_id},
        as_json=as_json,
        of=factory,
    )


async def _followed(publications: Publications, event_id: str) -> None:
    """Return when a learner has followed the rollback. Raises ConfigError if none does."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                published = await publications.load()
                if published is not None and sort_key(published.snapshot.position) >= sort_key(event_id):
                    return
                await asyncio.sleep(_LOOK_S)  # publications are announced, but not to every kind of Redis
    except TimeoutError:
        raise ConfigError(
            "no learner has followed the rollback yet; it stands on the log and will be followed by the next one "
            "(`highwayman serve` or `learn`)"
        ) from None
