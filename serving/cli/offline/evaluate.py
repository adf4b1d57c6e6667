"""The command `highwayman evaluate`: what policies would have earned on a bandit log."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.errors import ConfigError
from highwayman.serving.cli.offline.evaluation_options import (
    build_method,
    floor_option,
    json_option,
    method_options,
    policies_option,
    policy_factories,
    report_option,
)
from highwayman.serving.cli.offline.evaluation_output import EvaluationSource, print_evaluation
from highwayman.serving.config.config import Config
from highwayman.sims.logs.dsjson_file import DsjsonLog
from highwayman.sims.logs.judged import TargetStore
from highwayman.sims.logs.logged_file import LogFile
from highwayman.sims.replay.comparison import best_fixed_arm, compare_policies, logged_policy_value
from highwayman.sims.replay.rounds import ReplayCounts
from highwayman.sims.replay.targets import progressive_targets
from highwayman.sims.reports.answers_page import EvaluationReport


@click.command()
@click.argument("log", type=click.Path(path_type=Path, exists=True))
@policies_option
@click.option("--frozen-for", type=click.IntRange(min=1), default=1, show_default=True,
              help="Rounds between two lessons; more is faster.")  # fmt: skip
@floor_option
@method_options
@report_option
@json_option
def evaluate(  # noqa: PLR0917  (one parameter per option)
    log: Path, policies: tuple[str, ...], frozen_for: int, floor: float | None, report: Path | None, as_json: bool,
    **estimation_options: Any,
) -> None:  # fmt: skip
    """Say what policies would have earned on a bandit log, learning from it as it comes.

    LOG is a file in Parquet or in Vowpal Wabbit's dsjson (*.dsjson, *.json, *.jsonl, *.ndjson, also with .gz), or a
    folder of either.
    """
    method = build_method(**estimation_options)
    share, loss = (0.02, FLOOR_LOSS) if floor is None else (floor, None)
    names, factories = policy_factories(policies, Config())
    console, counts = Console(stderr=True), ReplayCounts()
    dsjson = DsjsonLog(log) if DsjsonLog.fits(log) else None
    file = LogFile(log) if dsjson is None else dsjson
    with TargetStore(len(factories)) as targets:
        with console.status(f"asking {len(names)} polic{'y' if len(names) == 1 else 'ies'} about {log}"):
            rounds = progressive_targets(
                file.chunks(), factories, floor=share, floor_loss=loss, frozen_for=frozen_for, counts=counts
            )
            targets.fill(rounds)
        if not targets.rounds:
            reason = "; ".join([*_not_read(dsjson), *counts.left_out()])
            raise ConfigError(f"{log}: holds no round" + (f" that can be used: {reason}" if reason else ""))
        with console.status("estimating"):
            logged = logged_policy_value(targets.chunks, method.interval)
            estimates = compare_policies(targets.chunks, names, method, known=logged)
            best = best_fixed_arm(targets.chunks, logged.shares, method, known=logged)
    source = EvaluationSource.from_files("log", log, [path.name for path in file.files()], [])
    choices = {"policies": names, "floor": share, "floor_loss": loss, "frozen_for": frozen_for}
    evaluation = EvaluationReport(
        log.name,
        logged,
        estimates,
        method,
        source.manifest(choices, method),
        [*_not_read(dsjson), *counts.left_out()],
        best,
    )
    print_evaluation(evaluation, report=report, as_json=as_json, warnings=[] if dsjson is None else dsjson.notes())


def _not_read(log: DsjsonLog | None) -> list[str]:
    """Return which lines of a log are no rounds, in words."""
    return [] if log is None else [f"{number:,} lines {why}" for why, number in log.left_out.items()]
