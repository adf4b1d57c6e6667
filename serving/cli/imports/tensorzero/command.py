"""`highwayman import tensorzero`: a function's variants, metrics and tables."""

import secrets
import tomllib
from pathlib import Path
from typing import Any

import click

from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.errors import ConfigError
from highwayman.feedback.archive.archive import Archive
from highwayman.serving.cli.imports.imported import (
    CONFIG,
    POOL,
    Imported,
    reading,
    refuse_existing,
    tell_notes,
    write_files,
)
from highwayman.serving.cli.imports.tensorzero.config import Drawing, imported_function


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--function", help="Whose variants; needed where there are several.")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=".", show_default=True,
              help="The folder to write pool.yaml and highwayman.yaml in.")  # fmt: skip
@click.option("--tables", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="A folder of its tables, as ClickHouse exports them: Parquet or JSONL.")  # fmt: skip
@click.option("--log", "log_folder", type=click.Path(path_type=Path, file_okay=False),
              help="The folder to write them in as a log, for `replay`.")  # fmt: skip
@click.option("--without-propensities", is_flag=True, help="The weights have changed: nobody knows how it was drawn.")
@click.option("--force", is_flag=True, help="Replace pool.yaml and highwayman.yaml if they are there.")
def tensorzero(
    file: Path, function: str | None, folder: Path, *, tables: Path | None, log_folder: Path | None,
    without_propensities: bool, force: bool,
) -> None:  # fmt: skip
    """Make pool.yaml and highwayman.yaml of a function in tensorzero.toml, and a log of its tables.

    Each variant is an arm. A function has prompts of its own, and so a pool, a namespace and a router of its own.
    """
    if (tables is None) != (log_folder is None):
        raise ConfigError("--tables and --log: give both, or neither")
    data = _read(file)
    imported, drawing = imported_function(data, file.parent, file.name, function or _only_function(data, file))
    if without_propensities:
        drawing = Drawing({}, drawing.arms)
    if tables is None or log_folder is None:
        write_files(imported, folder, force=force)
        return
    refuse_existing([folder / POOL, folder / CONFIG], force=force)
    lines, left_out = _import_log(imported, drawing, tables, log_folder)
    write_files(imported, folder, force=force)
    click.echo("\n".join([*lines, f"judge by it:  highwayman replay --from {log_folder} --config {folder / CONFIG}"]))
    tell_notes(left_out)


def _import_log(imported: Imported, drawing: Drawing, tables: Path, log_folder: Path) -> tuple[list[str], list[str]]:
    """Write the tables as a log; return what it came to, and what was left out of it, in words."""
    from highwayman.serving.cli.imports.tensorzero.log import TensorZeroLog  # noqa: PLC0415  (reads numpy, parsers)

    metrics: dict[str, Any] = imported.config.get("feedback", {}).get("metrics", {})
    encoder = make_encoder("static")
    try:
        name = imported.source.rpartition(" ")[2]
        log = TensorZeroLog(tables, name, drawing, encoder, user_key=secrets.token_bytes(16))
        with reading(str(tables)):
            log.read(list(metrics))
    finally:
        encoder.close()
    counts = log.counts
    for metric, (low, high) in counts.ranges.items():
        if metrics[metric]["kind"] == "float" and not 0 <= low <= high <= 1:
            metrics[metric] |= {"low": low, "high": high}
            imported.notes = [note for note in imported.notes if not note.startswith(f"metrics.{metric}: ")]
            imported.note(f"metrics.{metric}", f"goes from {low:g} to {high:g} in the tables: low and high are these")
    log.write(Archive(log_folder), imported.config["namespace"])
    told = "with the probability of each variant" if drawing.probs else "without propensities: only to learn from"
    lines = [f"{log_folder}: {counts.decisions:,} decisions, {counts.drawn:,} of them drawn, {told}; "
             f"{counts.statements:,} statements"]  # fmt: skip
    left_out = [f"{number:,} {why}" for why, number in counts.left_out.items() if number]
    if drawing.probs:
        left_out.append("draws whose variant failed: another one's answer stands there as if it had been drawn")
    return lines, left_out


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _only_function(data: dict[str, Any], file: Path) -> str:
    names = list(data.get("functions") or {})
    if len(names) != 1:
        known = f"it has {', '.join(names)}" if names else "it has none; is it TensorZero's?"
        raise ConfigError(f"{file}: name one of its functions with --function: {known}")
    return str(names[0])
