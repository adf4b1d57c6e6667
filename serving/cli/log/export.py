"""The command `highwayman export`."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from highwayman.env.errors import ConfigError
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.export import ExportResult, export
from highwayman.serving.cli.context import LogOptions, log_options


@click.command("export")
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="The folder of Parquet files; made if need be, gone on with if there is one.")  # fmt: skip
@click.option("--trim", is_flag=True, help="Then take off the log what `retention.log_s` does not keep.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@log_options
async def export_command(options: LogOptions, folder: Path, trim: bool, as_json: bool) -> None:
    """Copy the log into Parquet files, from where the last export ended."""
    async with options.open(for_all=trim, by=("retention",) if trim else ()) as (client, factory):
        keep_s = factory.config.retention.log_s
        if trim and keep_s is None:
            raise ConfigError("--trim: the configuration's retention.log_s is null, so the log is kept for ever")
        namespace = factory.config.namespace
        retention, store = factory.retention(client), factory.store(client)
        result = await export(retention, Archive(folder), store=store, namespace=namespace)
        trimmed = None
        if trim and keep_s is not None:
            lineage, now = factory.lineage, time.time()
            trimmed = await retention.trim(keep_s=keep_s, now=now, exported_only=True, lineage=lineage)
    click.echo(json.dumps({**asdict(result), "trimmed": trimmed}) if as_json else _line(result, folder, trimmed))
    for gap in result.gaps:
        click.echo(
            f"MISSING: what came after {gap.after} up to {gap.upto} had left the log before this export", err=True
        )


def _line(result: ExportResult, folder: Path, trimmed: int | None) -> str:
    parts = f"{result.parts} part{'' if result.parts == 1 else 's'}"
    text = f"exported {result.events} events in {parts} to {folder}, which holds the log up to {result.last}"
    return text if trimmed is None else f"{text}; {trimmed} events left the log"
