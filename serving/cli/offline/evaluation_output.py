"""How `replay` and `evaluate` show their answers: on a terminal, as JSON, and on a page."""

import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import click
from rich import box
from rich.console import Console
from rich.table import Table

import highwayman
from highwayman.sims.ope.estimate import Estimate
from highwayman.sims.ope.estimators.rewards import RewardKind
from highwayman.sims.replay.comparison import EstimationMethod, PolicyEstimate, PolicyVerdict
from highwayman.sims.reports.answers_page import EvaluationReport, write_answers
from highwayman.sims.sweeps.manifest import code_digest, files_digest


@dataclass(frozen=True, slots=True)
class EvaluationSource:
    """The files that were evaluated."""

    kind: str
    path: Path
    files: tuple[str, ...]
    gaps: tuple[str, ...]  # stretches of the log that are missing

    @classmethod
    def from_files(cls, kind: str, path: Path, files: Sequence[str], gaps: Sequence[str]) -> Self:
        """Return the source."""
        return cls(kind, path, tuple(files), tuple(gaps))

    def manifest(self, choices: Mapping[str, Any], method: EstimationMethod) -> dict[str, Any]:
        """Return what makes the same answers again."""
        paths = [self.path / name if self.path.is_dir() else self.path for name in self.files]
        return {
            "command": shlex.join(["highwayman", *sys.argv[1:]]),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "asked": {**choices, "reward": method.reward},
            "method": {"estimator": type(method.estimator).__name__, "interval": type(method.interval).__name__},
            self.kind: {"files": len(paths), "sha256": files_digest(paths)},
            "code": {"highwayman": highwayman.__version__, "sha256": code_digest()},
        }

    def warnings(self) -> list[str]:
        """Return what is missing from it, in words."""
        return [f"MISSING: events {gap} had left the log before they were exported" for gap in self.gaps]


def print_evaluation(
    evaluation: EvaluationReport, *, report: Path | None, as_json: bool, warnings: Sequence[str]
) -> None:
    """Print the answers, and write the page where one is wanted."""
    console = Console(stderr=True)
    for warning in warnings:
        console.print(warning, highlight=False)
    if report is not None:
        write_answers(evaluation, report)
        console.print(f"[dim]the page is {report}", highlight=False)
    if as_json:
        click.echo(json.dumps(_plain(evaluation), allow_nan=False))
        return
    _print(evaluation, Console(highlight=False))


_SELECTIVE = (
    "Not every round is rated. Where bad answers are rated more often than good ones, values are too low and gains too "
    "large, and nothing here need show it, unless rewards are weighed for it (docs/explanation/off_policy.md)."
)


def _print(evaluation: EvaluationReport, console: Console) -> None:
    logged = evaluation.logged
    console.print(f"{evaluation.source}: {logged.rounds:,} rounds")
    for reason in evaluation.left_out:
        console.print(f"  left out: {reason}")
    kinds = [kind for kind, mean in logged.means.items() if mean.n]
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=f"per request, deciding by {evaluation.method.reward}"
    )
    table.add_column("", overflow="fold")
    for kind in kinds:
        table.add_column(_HEADS[kind], justify="right", no_wrap=True)
    # On a narrow terminal what is gained stands in three lines, and the verdict in two: names get the rest.
    gained, verdict = (_GAINED_WIDTH, _VERDICT_WIDTH) if console.width < _WIDE else (None, None)
    table.add_column("gained", justify="right", width=gained)
    table.add_column("verdict", width=verdict)
    ran = ["as it ran", *(_number(kind, logged.means[kind].value) for kind in kinds), "", ""]
    rows = [_row(answer, kinds) for answer in evaluation.rows]
    known = evaluation.best_fixed is not None
    best = rows[:1] if known else [["best fixed", *("–" for _ in kinds), "", str(PolicyVerdict.REFUSED)]]
    for row in (*best, ran, *rows[known:]):
        table.add_row(*row)
    console.print(table)
    console.print(evaluation.about_best_fixed)
    if any(answer.gain.support.censored for answer in evaluation.answers):
        console.print(_SELECTIVE)
    for reason, names in _reasons(evaluation.answers).items():
        prefix = "" if len(names) == len(evaluation.answers) else f"{', '.join(names)}: "
        console.print(f"{prefix}{reason}.")


def _row(answer: PolicyEstimate, kinds: Sequence[RewardKind]) -> list[str]:
    values = [_number(kind, answer.values[kind].value) for kind in kinds]
    return [answer.policy, *values, _interval(answer.gain), str(answer.verdict)]


_WIDE = 110  # columns of a terminal on which every line is whole
_GAINED_WIDTH, _VERDICT_WIDTH = 9, 14  # of "[-0.2249," and "the log cannot"
_HEADS = {"quality": "quality", "cost_usd": "$ per 1k", "utility": "utility"}


def _reasons(answers: Sequence[PolicyEstimate]) -> dict[str, list[str]]:
    """Return why the log cannot tell, and what a reader should know, with the policies each applies to."""
    policies_by_reason: dict[str, list[str]] = {}
    for answer in answers:
        for reason in (*(f"the log cannot tell: {refusal}" for refusal in answer.gain.refused), *answer.gain.warnings):
            policies_by_reason.setdefault(reason, []).append(answer.policy)
    return policies_by_reason


def _number(kind: str, value: float) -> str:
    return f"{1000 * value:.4g}" if kind == "cost_usd" else f"{value:.4f}"


def _interval(estimate: Estimate) -> str:
    text = f"{estimate.value:+.4f}"
    return text if math.isnan(estimate.low) else f"{text} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def _plain(evaluation: EvaluationReport) -> dict[str, Any]:
    logged = evaluation.logged
    return {
        "manifest": dict(evaluation.manifest),
        "rounds": logged.rounds,
        "from": logged.first_at,
        "to": logged.last_at,
        "left_out": list(evaluation.left_out),
        "as_it_ran": {
            "shares": logged.shares,
            **{kind: _numbers(asdict(mean)) for kind, mean in logged.means.items() if mean.n},
        },
        "best_fixed": None if evaluation.best_fixed is None else _plain_answer(evaluation.best_fixed),
        "answers": [_plain_answer(answer) for answer in evaluation.answers],
    }


def _plain_answer(answer: PolicyEstimate) -> dict[str, Any]:
    return {
        "policy": answer.policy,
        "verdict": str(answer.verdict),
        "gain": _numbers(asdict(answer.gain)),
        "shares": answer.shares,
        **{kind: _numbers(asdict(value)) for kind, value in answer.values.items()},
    }


def _numbers(value: Any) -> Any:
    """Return what JSON can say: null for a number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list | tuple) else value
