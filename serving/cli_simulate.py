"""The command `highwayman simulate`: policies on full tables, in simulated worlds, against honest baselines."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from highwayman.env.encoder import Encoder, make_encoder
from highwayman.env.errors import ConfigError
from highwayman.feedback.snapshot_file import write_whole
from highwayman.sims.reports.report import write_report
from highwayman.sims.sweeps.manifest import manifest
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import Prepared, prepare
from highwayman.sims.sweeps.results import POLICY
from highwayman.sims.sweeps.results_file import write_results
from highwayman.sims.sweeps.summary import summary
from highwayman.sims.sweeps.sweep import Machines, sweep
from highwayman.sims.tables.table_file import read_table


@click.command()
@click.option("--data", "tables", multiple=True, required=True, type=click.Path(path_type=Path, exists=True),
              help="A table: every arm's quality on every prompt. Give several to run on each.")  # fmt: skip
@click.option(
    "--format", "format_", help="Of the tables: long, routerbench, routellm or pareto; found out if not given."
)
@click.option("--policy", "policies", multiple=True, default=("LinTS",), show_default=True,
              help="NAME[:option=value,...] or module:Class[:...]; several are compared.")  # fmt: skip
@click.option("--world", "worlds", multiple=True, default=("calm",), show_default=True,
              help="Worlds joined by +, as Thumbs:rate=0.05,flip=0.1+Delay:mean_s=600.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--first-seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--cost-weight", "cost_weights", type=click.FloatRange(min=0), multiple=True, default=(0.15,),
              show_default=True, help="The first one is reported; several draw a frontier.")  # fmt: skip
@click.option("--arms", type=click.IntRange(min=2), help="So many arms, spread over the range of mean quality.")
@click.option("--floor", type=click.FloatRange(0, 1), default=0.02, show_default=True)
@click.option("--frozen-for", type=click.IntRange(min=1), default=1, show_default=True,
              help="Rounds between two lessons.")  # fmt: skip
@click.option("--encoder", default="static", show_default=True, help="static | onnx | transformers | module:Class")
@click.option("--jobs", type=int, default=-1, show_default=True, help="Processes; -1: one per core.")
@click.option("--ray", metavar="ADDRESS", help="Run on a Ray cluster that is there already, such as auto.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="A folder for results and report.html.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def simulate(  # noqa: PLR0917  (one parameter per option)
    tables: tuple[Path, ...], format_: str | None, encoder: str, jobs: int, ray: str | None, out: Path | None,
    as_json: bool, **planned: Any,
) -> None:  # fmt: skip
    """Run policies on tables that know every arm's answer, and say what they earn."""
    plan = Plan(**planned)
    plan.check()
    if jobs == 0 or jobs < -1:
        raise ConfigError(f"--jobs must be a number of processes, or -1 for one per core, got {jobs}")
    console = Console(stderr=True)
    prepared = _prepared(tables, plan, console, format_=format_, engine=encoder)
    with _bar(console) as progress:
        said = manifest(
            plan, prepared, command=shlex.join(["highwayman", *sys.argv[1:]]),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            data={name: path.name for name, path in zip(_names(tables), tables, strict=True)},
        )  # fmt: skip
        results = sweep(plan, prepared, machines=Machines(jobs, ray), progress=progress, manifest=said)
    found = summary(results)
    if out is not None:
        write_results(results, out)
        write_report(results, out / "report.html")
        write_whole(out / "summary.json", json.dumps(found, indent=2).encode() + b"\n")
        console.print(f"[dim]results and report.html are in {out}")
    if as_json:
        click.echo(json.dumps({"manifest": results.manifest, "cases": found}))
    else:
        _print(found, Console())


def _prepared(
    paths: tuple[Path, ...], plan: Plan, console: Console, *, format_: str | None, engine: str
) -> list[Prepared]:
    encoder: Encoder = make_encoder(engine)
    try:
        found = []
        for name, path in zip(_names(paths), paths, strict=True):
            with console.status(f"reading {path}, encoding its prompts, fitting baselines"):
                found.append(prepare(name, read_table(path, format_), encoder, plan))
        return found
    finally:
        encoder.close()


def _names(paths: tuple[Path, ...]) -> list[str]:
    """Return a name for each table: that of its file, numbered where two are called alike."""
    found: list[str] = []
    for path in paths:
        name = path.stem if path.is_file() else path.name
        found.append(f"{name} ({found.count(name) + 1})" if name in found else name)
    return found


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar meanwhile, on a terminal."""
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("runs", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def _print(cases: list[dict[str, Any]], console: Console) -> None:
    for case in cases:
        table = Table(title=f"{case['table']}, {case['world']}: mean over {case['results'][0]['seeds']} seeds")
        for column in ("", "value (95%)", "over best fixed", "last quarter", "quality", "$ per 1k"):
            table.add_column(column, justify="left" if not column else "right")
        for row in case["results"]:
            table.add_row(
                row["name"] if row["kind"] == POLICY else f"[dim]{row['name']}",
                _interval(row["value"]), _signed(row["over_best_fixed"]), _signed(row["over_best_fixed_last"]),
                f"{row['quality']['mean']:.3f}", _dollars(row.get("cost_usd")),
            )  # fmt: skip
        console.print(table)


def _interval(found: dict[str, float | None] | None) -> str:
    if found is None:
        return "-"
    if found["low"] is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _signed(found: dict[str, float | None] | None) -> str:
    if found is None:
        return "-"
    if found["low"] is None:
        return f"{found['mean']:+.3f}"
    return f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def _dollars(found: dict[str, float | None] | None) -> str:
    return "-" if found is None or found["mean"] is None else f"{1000 * found['mean']:.4g}"
