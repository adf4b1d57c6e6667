"""The command `highwayman replay`: what another policy would have earned on an exported event log."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from highwayman.bandit.decision import ExplorationRules
from highwayman.env.cost.objective import AUTO, Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.encoder.features.tags import NAMED_CALL, TagColumns, has_tag, measured_columns
from highwayman.env.errors import ConfigError
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.pool.pool_file import load_pool
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.manifest import ArchiveManifest
from highwayman.feedback.log.store import GRACE_S
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
from highwayman.serving.config.config import Config, load_config
from highwayman.serving.feedback.implicit_observer import OF_TURNS
from highwayman.sims.logs.judged import TargetStore
from highwayman.sims.logs.logged_file import write_log
from highwayman.sims.replay.comparison import best_fixed_arm, compare_policies, logged_policy_value
from highwayman.sims.replay.event_log import summarise_log
from highwayman.sims.replay.rounds import Counterfactual, ReplayCounts
from highwayman.sims.replay.targets import EventLog
from highwayman.sims.reports.answers_page import EvaluationReport


@click.command()
@click.option("--from", "folder", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="A folder that `highwayman export` has written.")  # fmt: skip
@policies_option
@click.option("--config", type=click.Path(path_type=Path, exists=True), help="highwayman.yaml of the router.")
@click.option(
    "--pool", type=click.Path(path_type=Path, exists=True), help="Its pool file; needed for --points-per-usd."
)
@click.option("--points-per-usd", type=click.FloatRange(min=0),
              help="As if a dollar had been worth so many points of quality (.01).")  # fmt: skip
@click.option("--cost-weight", type=click.FloatRange(min=0),
              help="Instead: as if the pool's dearest arm had had to be so much better than its cheapest.")  # fmt: skip
@click.option("--without", multiple=True, metavar="ARM", help="As if the arm had not been there.")
@click.option("--no-cascade", is_flag=True, help="As if the first answer had been served, whatever it looked like.")
@floor_option
@method_options
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the rounds as a bandit log in Parquet, for `evaluate`.")  # fmt: skip
@report_option
@json_option
def replay(  # noqa: PLR0917  (one parameter per option)
    folder: Path, policies: tuple[str, ...], save: Path | None, report: Path | None, as_json: bool, *,
    config: Path | None, pool: Path | None, without: tuple[str, ...], **estimation_options: Any,
) -> None:  # fmt: skip
    """Replay an exported event log as production folds it, and say what another policy would have earned."""
    configured, cascade = load_config(config), not estimation_options.pop("no_cascade")
    counterfactual = _counterfactual(
        configured,
        pool,
        without,
        points_per_usd=estimation_options.pop("points_per_usd"),
        cost_weight=estimation_options.pop("cost_weight"),
        floor=estimation_options.pop("floor"),
    )
    counterfactual = replace(counterfactual, cascade=cascade)
    method = build_method(**estimation_options)
    names, factories = policy_factories(policies, configured)
    console, counts = Console(stderr=True), ReplayCounts()
    with console.status(f"reading {folder}"):
        log, notes = _event_log(folder, configured, counterfactual), list[str]()
        if config is not None:
            log, notes = _as_declared(log, configured.tag_columns())
    with TargetStore(len(factories)) as targets:
        with console.status("replaying"):
            targets.fill(log.targets(factories, counterfactual, counts))
        if not targets.rounds:
            raise ConfigError(f"{folder}: none of its {counts.decisions} decisions can be used: {_words(counts)}")
        if save is not None:
            write_log(save, (chunk.without_shared_rewards() for chunk in targets.chunks()))
        with console.status("estimating"):
            logged = logged_policy_value(targets.chunks, method.interval)
            estimates = compare_policies(targets.chunks, names, method, known=logged)
            best = best_fixed_arm(
                targets.chunks,
                [arm for arm in logged.shares if arm not in counterfactual.without],
                method,
                known=logged,
            )
    source = _source(folder)
    manifest = source.manifest({"policies": names, **_counterfactual_fields(counterfactual)}, method)
    evaluation = EvaluationReport(folder.name, logged, estimates, method, manifest, counts.left_out(), best)
    print_evaluation(
        evaluation, report=report, as_json=as_json, warnings=[*source.warnings(), *notes, *_conversational(counts)]
    )


def _counterfactual(
    config: Config, pool: Path | None, without: Sequence[str], *, points_per_usd: float | None,
    cost_weight: float | None, floor: float | None,
) -> Counterfactual:  # fmt: skip
    """Return the circumstances: the configured router's, but for what the options say. Raises ConfigError."""
    arms = tuple(load_pool(pool).arms) if pool is not None else ()
    if points_per_usd is not None and cost_weight is not None:
        raise ConfigError("--points-per-usd and --cost-weight: give one of them")
    for option, value in (("--points-per-usd", points_per_usd), ("--cost-weight", cost_weight)):
        if value is not None and not arms:
            raise ConfigError(f"{option} needs prices: give the pool file, too (--pool)")
    if config.exploration.usd_per_day is not None and not arms:
        raise ConfigError("exploration.usd_per_day needs prices: give the pool file, too (--pool)")
    configured = config.policy
    share, loss = (configured.floor, configured.floor_loss) if floor is None else (floor, None)
    rules = ExplorationRules(share, config.trial.quota(), config.exploration.cap(), floor_loss=loss)
    spread, objective = PoolSpread.of_arms(arms), None
    if cost_weight is not None:
        points_per_usd = spread.points_per_usd(cost_weight)
    if points_per_usd is not None:
        auto = config.objectives(spread)[AUTO]
        objective = Objective(AUTO, points_per_usd, auto.points_per_s, auto.points_per_wh)
    stored = () if config.answer_cache is None or not arms else config.answer_cache.arm_names()
    return Counterfactual(rules, objective, (*arms, *(CACHED_ARMS[name] for name in stored)), frozenset(without))


def _counterfactual_fields(counterfactual: Counterfactual) -> dict[str, Any]:
    objective = counterfactual.objective
    return {
        "floor": counterfactual.rules.floor,
        "floor_loss": counterfactual.rules.floor_loss,
        "points_per_usd": None if objective is None else objective.points_per_usd,
        "without": sorted(counterfactual.without),
        **({} if counterfactual.cascade else {"cascade": False}),
    }


def _source(folder: Path) -> EvaluationSource:
    archive = Archive(folder)
    gaps = [f"{gap.after} to {gap.upto}" for gap in ArchiveManifest(archive).gaps()]
    return EvaluationSource.from_files("archive", folder, [part.path.name for part in archive.files()], gaps)


def _event_log(folder: Path, config: Config, counterfactual: Counterfactual) -> EventLog:
    archive = Archive(folder)
    if not archive.files():
        raise ConfigError(f"{folder}: holds no part of a log; `highwayman export --to {folder}` writes one")
    ArchiveManifest(archive).claim(config.namespace)
    log_summary = summarise_log(archive.read)
    if not log_summary.d:
        raise ConfigError(f"{folder}: holds no decision that a policy has drawn, so there is nothing to judge")
    for arm in sorted(counterfactual.without):
        if arm not in log_summary.arms:
            raise ConfigError(f"--without {arm}: the log's arms are {', '.join(log_summary.arms)}")
    kept_s = config.limits.feedback_window_s + GRACE_S
    return EventLog(
        archive.read,
        log_summary,
        config.feedback.spec(),
        kept_s=kept_s,
        arms=tuple(arm.name for arm in counterfactual.pool),
        turn_links=bool(OF_TURNS.intersection(config.feedback.implicit)),
    )


def _as_declared(log: EventLog, columns: TagColumns) -> tuple[EventLog, list[str]]:
    """Return the log as a router with these tags reads it, and which of them its newest decisions say nothing of.

    What was decided under another declaration says nothing of a tag, as in production.
    """
    logged = log.summary.encoder
    notes = [
        f"tag {tag.name}: the log's newest decisions were made without it, or with other levels, so it tells nothing"
        for tag in columns.tags
        if tag.name != NAMED_CALL and not has_tag(logged, tag)
    ]
    columns = replace(columns, measured=measured_columns(logged))  # of images nothing is declared but what was logged
    return replace(log, summary=log.summary.with_tags(columns)), notes


def _conversational(counts: ReplayCounts) -> list[str]:
    if not counts.conversational:
        return []
    return [
        f"{counts.conversational:,} rounds were rated with their whole conversation: what another policy would have "
        "earned there takes the ratios of all its draws (--anytime leaves these rewards out, and so does --save)"
    ]


def _words(counts: ReplayCounts) -> str:
    return "; ".join(counts.left_out()) or "they are not settled yet"
