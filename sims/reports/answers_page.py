"""What policies would have earned on a log, as one HTML page that needs nothing but itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from highwayman.env.atomic_write import write_atomically
from highwayman.sims.plots.answers import answers
from highwayman.sims.plots.ratios import histograms
from highwayman.sims.plots.style import Look, Picture, usd
from highwayman.sims.plots.svg import placed
from highwayman.sims.replay.comparison import EDGES, EstimationMethod, LoggedPolicyValue, PolicyEstimate, PolicyVerdict
from highwayman.sims.reports.tables import manifest_table
from highwayman.sims.sweeps.results import Ratios, ResultsError

_BADGES = {
    PolicyVerdict.MORE: ("good", "▲"),
    PolicyVerdict.LESS: ("bad", "▼"),
    PolicyVerdict.UNCLEAR: ("open", "○"),
    PolicyVerdict.REFUSED: ("open", "∅"),
}
_NOTE = (
    "Estimates are of requests like those on the log, and of rounds with feedback as far as they speak of quality. "
    "Rounds that were forced, sticky, without exploration, or answered by another arm than the one drawn are left out. "
    "Where bad answers are rated more often than good ones, values are too low and gains too large, and nothing here "
    "need show it, unless rewards are weighed for it. Each policy's interval stands for itself: of many policies asked "
    "about, one may look good by chance."
)
_RATIOS = (
    "How the log covers each policy: importance ratios of its choices",
    "Importance ratios of each policy's choices on the log.",
    "Each round's ratio is the policy's probability of the arm taken, over the probability it was drawn with. Ratios "
    "near 1 mean that the log did what the policy would do; a long tail at the right means that a few rounds decide.",
)


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
    """Write the page to `path`, whole or not at all. Raises ResultsError, and ConfigError without matplotlib."""
    blob = page(evaluation).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, blob)
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror or error}") from error


def page(evaluation: EvaluationReport) -> str:
    """Return the page; the same for the same answers."""
    look = Look(tuple(estimate.policy for estimate in evaluation.answers))
    style = resources.files("highwayman.sims").joinpath("assets/report.css").read_text(encoding="utf-8")
    ratios = histograms([_ratios(estimate) for estimate in evaluation.answers], look, _RATIOS)
    verdict_text, common = headline(evaluation.answers), _common(evaluation.answers)
    common_notes = "".join(f'<p class="note">Of all of them: {escape(warning)}.</p>' for warning in sorted(common))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="description" content="{escape(verdict_text)}">
<title>Highwayman: what another policy would have earned</title><style>{style}</style></head><body>
<header><h1>What would have been earned?</h1><p class="ran">{escape(_ran(evaluation))}</p></header>
<main><section aria-label="Verdict"><p class="verdict">{escape(verdict_text)}</p>
<ul class="judgements">{"".join(_item(estimate, evaluation.method, common) for estimate in evaluation.rows)}</ul>
<p class="note">{escape(evaluation.about_best_fixed)}</p>{common_notes}
{_figure(answers(evaluation.logged, evaluation.answers, look))}{_figures(evaluation)}{_shares(evaluation)}
{_figure(ratios) if ratios else ""}
<p class="note">{_NOTE}</p></section>
<section><h2>How it came about</h2>{manifest_table(evaluation.manifest)}</section></main>
</body></html>
"""


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


def _item(estimate: PolicyEstimate, method: EstimationMethod, common: frozenset[str]) -> str:
    css, mark = _BADGES[estimate.verdict]
    gain = estimate.gain
    gain_text = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] {method.reward} per round over what ran"
    reasons = [
        *(f"Cannot tell: {refusal}" for refusal in gain.refused),
        *(warning for warning in gain.warnings if warning not in common),
    ]
    more = "".join(f'<p class="more">{escape(reason)}.</p>' for reason in reasons)
    badge = f'<span class="badge">{mark} {estimate.verdict}</span> {escape(estimate.policy)}'
    return f'<li class="{css}"><p>{badge}</p><p>{escape(gain_text.replace("-", "−"))}</p>{more}</li>'


def _figures(evaluation: EvaluationReport) -> str:
    kinds = [kind for kind, mean in evaluation.logged.means.items() if mean.n]
    ran = [
        _value(kind, *(getattr(evaluation.logged.means[kind], end) for end in ("value", "low", "high")))
        for kind in kinds
    ]
    rows = [("as it ran", [*ran, "–", "–", "–"])]
    for estimate in evaluation.rows:
        support = estimate.gain.support
        values = [
            _value(kind, estimate.values[kind].value, estimate.values[kind].low, estimate.values[kind].high)
            for kind in kinds
        ]
        support_cells = [
            f"{support.ess:,.0f} of {support.n:,}",
            f"{support.max_ratio:.1f}",
            f"{support.unsupported:.1%}",
        ]
        rows.append((estimate.policy, [*values, *support_cells]))
    if evaluation.best_fixed is not None:
        rows[:2] = rows[1::-1]  # before what ran
    heads = [*(_HEADS[kind] for kind in kinds), "effective sample size", "largest ratio", "not covered"]
    return _table("All figures per request, with intervals", heads, rows)


_HEADS = {"quality": "quality", "cost_usd": "cost of 1,000 requests", "utility": "utility"}


def _shares(evaluation: EvaluationReport) -> str:
    heads = ["as it ran", *(estimate.policy for estimate in evaluation.answers)]
    shares = [evaluation.logged.shares, *(estimate.shares for estimate in evaluation.answers)]
    rows = [(arm, [f"{arm_shares.get(arm, 0.0):.1%}" for arm_shares in shares]) for arm in evaluation.logged.shares]
    return _table("Which arm would have answered: share of the requests", heads, rows)


def _table(caption: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in ("", *heads))
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, cells in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _value(kind: str, value: float, low: float, high: float) -> str:
    if kind == "cost_usd":
        return f"{usd(1000 * value)} [{usd(1000 * low)}, {usd(1000 * high)}]"
    return f"{value:.4f} [{low:.4f}, {high:.4f}]".replace("-", "−")


def _ratios(estimate: PolicyEstimate) -> Ratios:
    support = estimate.gain.support
    return Ratios(
        "", "", estimate.policy, EDGES, estimate.ratios, ess=support.ess * sum(estimate.ratios) / max(support.n, 1)
    )


def _figure(picture: Picture) -> str:
    svg = placed(picture.svg, prefix=picture.name, label=picture.alt)
    plot = f'<div class="plot" tabindex="0" role="group" aria-label="{picture.name}">{svg}</div>'
    return f'<figure class="{picture.name}">{plot}<figcaption>{escape(picture.caption)}</figcaption></figure>\n'
