"""What policies would have earned on a log, as one HTML page that needs nothing but itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from highwayman.pages.multiples import Multiples
from highwayman.pages.palette import policy_colors
from highwayman.sims.ope.estimators.rewards import RewardKind
from highwayman.sims.plots.answers import AS_IT_RAN, CAPTION, answers
from highwayman.sims.plots.dollars import usd
from highwayman.sims.plots.ratios import histogram, span_of
from highwayman.sims.replay.comparison import EDGES, EstimationMethod, LoggedPolicyValue, PolicyEstimate, PolicyVerdict
from highwayman.sims.reports.document import document, write_document
from highwayman.sims.reports.tables import Cell, ReportTable, Row, manifest_table
from highwayman.sims.sweeps.results import Ratios

_BADGES = {
    PolicyVerdict.MORE: ("good", "▲"),
    PolicyVerdict.LESS: ("bad", "▼"),
    PolicyVerdict.UNCLEAR: ("", "○"),
    PolicyVerdict.REFUSED: ("", "∅"),
}
_NOTE = (
    "Estimates are of requests like those on the log, and of rounds with feedback as far as they speak of quality. "
    "Rounds that were forced, sticky, without exploration, or answered by another arm than the one drawn are left out. "
    "Where bad answers are rated more often than good ones, values are too low and gains too large, and nothing here "
    "need show it, unless rewards are weighed for it. Each policy's interval stands for itself: of many policies asked "
    "about, one may look good by chance."
)
_RATIOS = (
    "Each round's ratio is the policy's probability of the arm taken, over the probability it was drawn with; every "
    "round counts, rated or not. Ratios near 1 (the dashed line) mean that the log did what the policy would do; a "
    "long tail at the right means that a few rounds decide."
)
_SUPPORT = {
    "effective sample size": "how many rounds of the policy's own the rated rounds are worth to its estimate, by Kong "
    "1992: (sum of ratios)² / sum of squared ratios",
    "largest ratio": "the policy's probability of what was drawn over the log's, where that is largest",
    "not covered": "the share of the policy's choices that could not have been drawn",
}


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """A question put to a log, and its answers."""

    source: str  # the log's name
    logged: LoggedPolicyValue
    answers: Sequence[PolicyEstimate]
    method: EstimationMethod
    manifest: Mapping[str, Any]
    left_out: Sequence[str] = ()  # in words
    best_fixed: PolicyEstimate | None = None  # the arm that would have earned most; None: the log can tell of no arm

    @property
    def rows(self) -> list[PolicyEstimate]:
        """The best fixed arm, where the log can tell, then the policies that were asked about."""
        return [*([self.best_fixed] if self.best_fixed is not None else []), *self.answers]

    @property
    def about_best_fixed(self) -> str:
        """What is to be known of the best fixed arm, as a sentence."""
        if self.best_fixed is None:
            return "Best fixed arm: the log can tell of no arm what taking it always would have earned."
        return f"{self.best_fixed.policy} was picked among the arms by these same numbers, which flatters it a little."


def write_answers(evaluation: EvaluationReport, path: Path) -> None:
    """Write the page to `path`, whole or not at all. Raises ResultsError."""
    write_document(page(evaluation), path)


def page(evaluation: EvaluationReport) -> str:
    """Return the page; the same for the same answers."""
    colors, common = policy_colors(estimate.policy for estimate in evaluation.answers), _common(evaluation.answers)
    charts = answers(evaluation.logged, evaluation.rows, colors)
    return document(
        "evaluation.html.j2",
        ran=_ran(evaluation),
        verdict=headline(evaluation.answers),
        items=[_item(estimate, evaluation.method, common) for estimate in evaluation.rows],
        notes=[evaluation.about_best_fixed, *(f"Of all of them: {warning}." for warning in sorted(common))],
        answers=Multiples(charts, caption=CAPTION),
        tables=(_figures(evaluation, colors), _shares(evaluation, colors)),
        ratios=_ratios(evaluation.answers, colors),
        note=_NOTE,
        manifest=manifest_table(evaluation.manifest),
    )


def headline(answers: Sequence[PolicyEstimate]) -> str:
    """Return the answers in a sentence."""
    parts = []
    for verdict, phrase in (
        (PolicyVerdict.MORE, "would have earned more than what ran"),
        (PolicyVerdict.LESS, "would have earned less"),
        (PolicyVerdict.UNCLEAR, "not shown to differ from what ran"),
        (PolicyVerdict.REFUSED, "the log cannot tell"),
    ):
        names = [estimate.policy for estimate in answers if estimate.verdict is verdict]
        if names:
            parts.append(f"{', '.join(names)}: {phrase}")
    return f"{'; '.join(parts)}."


def _common(answers: Sequence[PolicyEstimate]) -> frozenset[str]:
    """Return what is to be known of every answer."""
    return (
        frozenset.intersection(*(frozenset(estimate.gain.warnings) for estimate in answers)) if answers else frozenset()
    )


def _ran(evaluation: EvaluationReport) -> str:
    logged = evaluation.logged
    since, until = (
        datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (logged.first_at, logged.last_at)
    )
    method = f"{type(evaluation.method.estimator).__name__}, {type(evaluation.method.interval).__name__} interval"
    left_out = f" Left out: {', '.join(evaluation.left_out)}." if evaluation.left_out else ""
    return f"{evaluation.source}: {logged.rounds:,} rounds, {since} to {until} UTC. {method}.{left_out}"


@dataclass(frozen=True, slots=True)
class AnswerItem:
    """What is said of a policy."""

    policy: str
    verdict: str
    tone: str
    mark: str
    gain: str
    reasons: Sequence[str]


def _item(estimate: PolicyEstimate, method: EstimationMethod, common: frozenset[str]) -> AnswerItem:
    gain = estimate.gain
    told = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] {method.reward} per round over what ran"
    reasons = [
        *(f"Cannot tell: {refusal}." for refusal in gain.refused),
        *(f"{warning}." for warning in gain.warnings if warning not in common),
    ]
    tone, mark = _BADGES[estimate.verdict]
    return AnswerItem(estimate.policy, str(estimate.verdict), tone, mark, told.replace("-", "−"), reasons)


def _figures(evaluation: EvaluationReport, colors: Mapping[str, str]) -> ReportTable:
    means = evaluation.logged.means
    kinds = [kind for kind, mean in means.items() if mean.n]
    ran = [_value(kind, means[kind].value, means[kind].low, means[kind].high) for kind in kinds]
    rows = [Row(AS_IT_RAN, [*ran, *(Cell("–") for _ in _SUPPORT)], quiet=True)]
    for estimate in evaluation.rows:
        support, values = estimate.gain.support, estimate.values
        told = (f"{support.ess:,.0f} of {support.n:,}", f"{support.max_ratio:.1f}", f"{support.unsupported:.1%}")
        cells = [_value(kind, values[kind].value, values[kind].low, values[kind].high) for kind in kinds]
        row = Row(estimate.policy, [*cells, *map(Cell, told)], colors.get(estimate.policy, ""))
        rows.insert(0 if estimate is evaluation.best_fixed else len(rows), row)  # the best fixed arm before what ran
    heads = ("policy", *(_HEADS[kind] for kind in kinds), *_SUPPORT)
    return ReportTable("All figures per request, with intervals", heads, rows, _SUPPORT)


_HEADS = {"quality": "quality", "cost_usd": "cost of 1,000 requests", "utility": "utility"}


def _shares(evaluation: EvaluationReport, colors: Mapping[str, str]) -> ReportTable:
    logged = evaluation.logged.shares
    whole = [(AS_IT_RAN, logged), *((estimate.policy, estimate.shares) for estimate in evaluation.answers)]
    rows = [
        Row(name, [Cell(f"{shares.get(arm, 0.0):.1%}") for arm in logged], colors.get(name, ""), name == AS_IT_RAN)
        for name, shares in whole
    ]
    return ReportTable("Which arm would have answered: share of the requests", ("policy", *logged), rows)


def _value(kind: RewardKind, value: float, low: float, high: float) -> Cell:
    if kind == "cost_usd":
        return Cell(usd(1000 * value), f"[{usd(1000 * low)}, {usd(1000 * high)}]")
    return Cell(f"{value:.4f}".replace("-", "−"), f"[{low:.4f}, {high:.4f}]".replace("-", "−"))


def _ratios(estimates: Sequence[PolicyEstimate], colors: Mapping[str, str]) -> Multiples:
    """Return how the log covers each policy; what that leaves of the rounds says the table of all figures."""
    counted = [
        Ratios("", "", estimate.policy, EDGES, estimate.ratios, ess=estimate.gain.support.ess) for estimate in estimates
    ]
    span = span_of(counted)
    figures = [histogram(ratios, colors[ratios.policy], span) for ratios in counted]
    return Multiples(figures, "How the log covers each policy: importance ratios of its choices", _RATIOS)
