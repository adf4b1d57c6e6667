"""The command `highwayman simulate`: policies on full tables, in simulated worlds, against honest baselines."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from highwayman.bandit.cascade.plan import CascadeRules
from highwayman.env.arrow import file_errors
from highwayman.env.atomic_write import write_atomically
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.errors import ConfigError
from highwayman.serving.cli.offline.standings_output import print_standings
from highwayman.serving.config.config import Config, load_config
from highwayman.sims.measures.student_t import import_special
from highwayman.sims.reports.report import write_report
from highwayman.sims.sweeps.dial import dial_settings
from highwayman.sims.sweeps.machines import Machines
from highwayman.sims.sweeps.manifest import manifest
from highwayman.sims.sweeps.plan import BASELINES, TAGS, Plan, RouterPlan
from highwayman.sims.sweeps.prepared import Prepared, prepare
from highwayman.sims.sweeps.results import Results, ResultsError
from highwayman.sims.sweeps.results_file import write_results
from highwayman.sims.sweeps.summary import summary
from highwayman.sims.sweeps.sweep import sweep
from highwayman.sims.tables.table_file import read_table


@click.command()
@click.option("--data", "tables", multiple=True, required=True, type=click.Path(path_type=Path, exists=True),
              help="A table: every arm's quality on every prompt. Give several to run on each.")  # fmt: skip
@click.option(
    "--format", "format_", help="Of the tables: long, routerbench, routellm or pareto; found out if not given."
)
@click.option("--policy", "policies", multiple=True, default=("HierTS",), show_default=True,
              help="NAME[:option=value,...] or module:Class[:...]; several are compared.")  # fmt: skip
@click.option("--cascade", "cascades", multiple=True, metavar="GATE",
              help="Every policy with a cascade, too: learned, cheapest (begins with that arm) or SIGNAL:NUMBER; needs "
                   "a world whose answers tell a signal, as Confidence:separation=2.")  # fmt: skip
@click.option("--baseline", "baselines", multiple=True, default=BASELINES,
              help="What they are compared with, beside best_fixed and oracle; all of ours if not given.")  # fmt: skip
@click.option("--world", "worlds", multiple=True, default=("calm",), show_default=True,
              help="Worlds joined by +, as Thumbs:rate=0.05,flip=0.1+Delay:mean_s=600.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=20, show_default=True, help="Runs of each.")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of them.")
@click.option("--rounds", type=click.IntRange(min=1), default=20_000, show_default=True, help="Queries of a run.")
@click.option("--cost-weight", "cost_weights", type=click.FloatRange(min=0), multiple=True, default=(0.15,),
              show_default=True, help="What a table's dearest arm must be better by than its cheapest; the first "
              "one is reported, several draw a frontier.")  # fmt: skip
@click.option("--points-per-usd", type=click.FloatRange(min=0), multiple=True,
              help="Instead of weights: points of quality (.01) that a dollar is worth.")  # fmt: skip
@click.option("--dial", type=click.IntRange(min=0), default=0, metavar="N",
              help="N settings more, over the useful range of each table, for its frontier.")  # fmt: skip
@click.option("--arms", type=click.IntRange(min=2), help="So many arms, spread over the range of mean quality.")
@click.option("--config", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A router's highwayman.yaml: its floor, caps on exploration, quota of probation, weights of latency "
                   "and energy, stages and floor of cascades, and the tags of context:, each told by the tables' "
                   "column of its name.")  # fmt: skip
@click.option(
    "--floor",
    type=click.FloatRange(0, 1),
    help="Exploration floor, spread evenly; if not given, as --config says, or 0.02 by what it loses.",
)
@click.option("--min-quality", type=click.FloatRange(0, 1), help="Quality to be expected of an arm, if any reaches it.")
@click.option("--probation", multiple=True, metavar="ARM", help="An arm that is on probation for the whole run.")
@click.option("--tag", "tags", type=click.Choice(list(TAGS)), multiple=True,
              help="What callers tell of each prompt, as context: declares it.")  # fmt: skip
@click.option("--frozen-for", type=click.IntRange(min=1), default=1, show_default=True,
              help="Rounds between two lessons.")  # fmt: skip
@click.option("--encoder", default="static", show_default=True, help="static | onnx | transformers | module:Class")
@click.option("--jobs", type=int, default=-1, show_default=True, help="Processes; -1: one per core.")
@click.option("--ray", metavar="ADDRESS", help="Run on a Ray cluster that is there already, such as auto.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="A folder for results and report.html.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def simulate(  # noqa: PLR0913, PLR0917  (one parameter per option)
    tables: tuple[Path, ...], format_: str | None, encoder: str, jobs: int, ray: str | None, out: Path | None,
    as_json: bool, config: Path | None, min_quality: float | None, probation: tuple[str, ...], floor: float | None,
    **plan_options: Any,
) -> None:  # fmt: skip
    """Run policies on tables that know every arm's answer, and say what they earn."""
    configured = load_config(config)
    plan = Plan(
        floor=configured.policy.floor if floor is None else floor,
        floor_loss=configured.policy.floor_loss if floor is None else None,
        router=_router_plan(configured, min_quality, probation),
        context=tuple(configured.declared_tags()),
        **plan_options,
    )
    machines, table_paths = Machines(jobs, ray), _named(tables)
    plan.check()
    machines.check()
    import_special()  # after hours of runs it would be late to find out that it is missing
    if out is not None:
        _check_out(out)
    console = Console(stderr=True, highlight=False)
    prepared = _prepared(table_paths, plan, console, format_=format_, engine=encoder)
    run_manifest = manifest(
        plan, prepared, command=shlex.join(["highwayman", *sys.argv[1:]]),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        data={name: path.name for name, path in table_paths.items()},
    )  # fmt: skip
    with _bar(console) as progress:
        results = sweep(plan, prepared, machines=machines, progress=progress, manifest=run_manifest)
    for table in prepared:
        for note in _dial_notes(table, plan):
            _print_note(console, f"{table.name}: {note}")
    cases = summary(results)
    if out is not None:
        with console.status("drawing the report"):
            _keep(results, cases, out)
        _print_note(console, f"results and report.html are in {out}")
    if as_json:
        click.echo(json.dumps({"manifest": results.manifest, "cases": cases}, allow_nan=False))
    else:
        print_standings(results, cases, Console(highlight=False))


def _router_plan(config: Config, min_quality: float | None, probation: tuple[str, ...]) -> RouterPlan:
    return RouterPlan(
        points_per_s=config.objective.points_per_s,
        points_per_wh=config.objective.points_per_wh,
        latency_weight=config.latency_weight,
        energy_weight=config.energy_weight,
        min_quality=min_quality,
        exploration_usd_per_day=config.exploration.usd_per_day,
        exploration_regret_per_request=config.exploration.regret_per_request,
        probation=probation,
        quota=config.trial.quota(),
        cascade=CascadeRules() if config.cascade is None else config.cascade.rules(),
    )


def _named(paths: tuple[Path, ...]) -> dict[str, Path]:
    """Return the tables by a name for each: that of its file, numbered where two are called alike."""
    paths_by_name: dict[str, Path] = {}
    for path in paths:
        if any(path.samefile(other) for other in paths_by_name.values()):
            raise ConfigError(f"--data {path} is given twice")
        stem = path.stem if path.is_file() else path.resolve().name
        name, number = stem, 1
        while name in paths_by_name:
            number += 1
            name = f"{stem} ({number})"
        paths_by_name[name] = path
    return paths_by_name


def _check_out(out: Path) -> None:
    """Return if a report can be written there: after hours of runs it would be late to find out."""
    folder = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise ConfigError(f"--out {out}: {folder} is no folder that can be written to")


def _prepared(
    table_paths: Mapping[str, Path], plan: Plan, console: Console, *, format_: str | None, engine: str
) -> list[Prepared]:
    encoder = make_encoder(engine)
    source = click.get_current_context().get_parameter_source("cost_weights")
    needs_costs = any(plan.cost_weights) and source is not ParameterSource.DEFAULT
    needs_costs = needs_costs or any(plan.points_per_usd)
    option = "--points-per-usd" if plan.points_per_usd else "--cost-weight"
    labels = [tag.name for tag in plan.told_tags() if tag.name not in TAGS]
    prepared = []
    try:
        for name, path in table_paths.items():
            with console.status(escape(f"reading {path}, encoding its prompts, fitting baselines")):
                table = read_table(path, format_, labels=labels)
                if needs_costs and not any(cost is not None for cost in table.mean_costs()):
                    raise ConfigError(f"{path}: no arm has a cost for every prompt, so {option} can only be 0")
                prepared.append(prepare(name, table, encoder, plan))
            for note in prepared[-1].notes():
                _print_note(console, f"{name}: {note}")
    finally:
        encoder.close()
    return prepared


def _dial_notes(prepared: Prepared, plan: Plan) -> list[str]:
    """Return in words what the settings of the dial are on the table, where cost counts."""
    rates = [setting.objective.points_per_usd for setting in dial_settings(prepared.table, plan)]
    if not any(rates):
        return []
    return [f"cost counts {', '.join(f'{rate:.3g}' for rate in rates)} points of quality per dollar"]


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar meanwhile, on a terminal."""
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("runs", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _keep(results: Results, cases: list[dict[str, Any]], out: Path) -> None:
    """Write everything to the folder, the figures before the picture of them; each file whole or not at all."""
    write_results(results, out)
    with file_errors(out, ResultsError):
        write_atomically(out / "summary.json", json.dumps(cases, indent=2, allow_nan=False).encode() + b"\n")
    write_report(results, out / "report.html")


def _print_note(console: Console, text: str) -> None:
    console.print(text, style="dim", markup=False, soft_wrap=True)
