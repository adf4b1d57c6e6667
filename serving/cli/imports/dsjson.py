"""`highwayman import dsjson`: a log of Vowpal Wabbit's decision service as a bandit log."""

from pathlib import Path

import click

from highwayman.env.errors import ConfigError
from highwayman.serving.cli.imports.imported import refuse_existing, tell_notes
from highwayman.sims.logs.dsjson_file import DsjsonLog
from highwayman.sims.logs.logged_file import write_log


@click.command()
@click.argument("log", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The Parquet file to write."
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def dsjson(log: Path, out: Path, force: bool) -> None:
    """Write a log in dsjson as a bandit log in Parquet, for `evaluate` and `prior fit`.

    LOG is a file (*.dsjson, *.json, *.jsonl, *.ndjson, also with .gz), or a folder of such files. Costs become rewards
    with the other sign, from the worst to the best of the log as 0 to 1.
    """
    if not DsjsonLog.fits(log):
        raise ConfigError(f"{log}: is no log in dsjson by its name; one ends in .dsjson, .json, .jsonl or .ndjson")
    refuse_existing([out], force=force)
    source = DsjsonLog(log)
    rounds = write_log(out, source.chunks())
    click.echo(f"{out}: {rounds:,} rounds")
    for note in source.notes():
        click.echo(f"note: {note}")
    tell_notes([
        *(f"{number:,} lines {why}" for why, number in source.left_out.items()),
        "the actions' own features: an arm is its name (docs/explanation/off_policy.md)",
    ])  # fmt: skip
    click.echo(f"judge policies by it:  highwayman evaluate {out} --policy LinTS")
