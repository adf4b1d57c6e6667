"""The report as one HTML page that needs nothing but itself: verdict, pictures, tables, manifest."""

from collections.abc import Sequence
from html import escape
from importlib import resources

from highwayman.sims.plots.budget import budget
from highwayman.sims.plots.differences import differences, how_to_read
from highwayman.sims.plots.frontier import frontier
from highwayman.sims.plots.learning import learning
from highwayman.sims.plots.ratios import ratios
from highwayman.sims.plots.shares import shares
from highwayman.sims.plots.style import Look, Picture
from highwayman.sims.plots.svg import placed
from highwayman.sims.reports.tables import arms_table, breakable, comparison_table, figures_table, manifest_table
from highwayman.sims.reports.verdict import CaseVerdict, RoutingVerdict, headline, judge_case, what_ran
from highwayman.sims.sweeps.results import Case, Results

_MARKS = {
    RoutingVerdict.PAYS: ("good", "▲"),
    RoutingVerdict.DOES_NOT_PAY: ("bad", "▼"),
    RoutingVerdict.NOT_SHOWN: ("open", "○"),
}
_DEFINED = (
    "Value is mean quality minus penalty, in quality units per round, learning included. Routing pays where a policy "
    "is shown to earn more than the best fixed arm; it does not where every policy is shown to earn less; else it is "
    "not shown to pay."
)
_INTERVALS = (
    "Intervals are Student's t over seeds, and differences are paired: both policies met the same prompts, noise and "
    "silence. They tell how much another seed would change the result on the same prompts, not how much other prompts "
    "would. Each stands for itself; to say that routing pays, it is first widened for the number of policies tried "
    "(Bonferroni). Even so, the best of several looks a little better than it is, being picked by the numbers it is "
    "then judged by."
)
_ONE_SEED = "One seed ran, so there are no intervals: nothing here tells merit from chance. Run at least five."
_HINDSIGHT = "Best fixed and oracle are known only in hindsight."


def page(results: Results) -> str:
    """Return the page; the same for the same results."""
    look = Look(results.policies())
    judgements = [judge_case(case) for case in results.cases()]
    style = resources.files("highwayman.sims").joinpath("assets/report.css").read_text(encoding="utf-8")
    sections = "".join(_section(judgement, number, look) for number, judgement in enumerate(judgements, 1))
    verdict_text, seeds = headline(judgements), len({run.seed for run in results.runs})
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="description" content="{escape(verdict_text)}">
<title>Highwayman: does routing pay?</title><style>{style}</style></head><body>
<header><h1>Does routing pay?</h1><p class="ran">{breakable(what_ran(results))}</p></header>
<main><section aria-label="Verdict"><p class="verdict">{escape(verdict_text)}</p>
{_judgements(judgements, look, seeds)}
<p class="note">{_DEFINED} {_INTERVALS if seeds > 1 else _ONE_SEED} {_HINDSIGHT}</p></section>
{sections}
<section><h2>How it came about</h2>{manifest_table(results.manifest)}</section></main>
</body></html>
"""


def _judgements(judgements: Sequence[CaseVerdict], look: Look, seeds: int) -> str:
    """Return the verdicts, each with its picture, and how to read these."""
    pictures = differences([judgement.case for judgement in judgements], look)
    items = []
    for number, (judgement, picture) in enumerate(zip(judgements, pictures, strict=True), 1):
        css, mark = _MARKS[judgement.verdict]
        others = f"<summary>The other policies against the best fixed arm</summary><p>{breakable(judgement.others)}</p>"
        more = f'<details class="more">{others}</details>'
        items.append(
            f'<li class="{css}"><p><span class="badge">{mark} {judgement.verdict}</span> '
            f'<a href="#case-{number}">{_title(judgement.case)}</a></p>{_plot(picture, f"verdict-{number}")}'
            f"<div><p>{breakable(judgement.why)}</p>{more if judgement.others else ''}</div></li>"
        )
    reading_note = f'<p class="note">{how_to_read(seeds)}</p>' if any(pictures) else ""
    return f'<ul class="judgements">{"".join(items)}</ul>{reading_note}'


def _section(judgement: CaseVerdict, number: int, look: Look) -> str:
    case, key = judgement.case, f"case-{number}"
    pictures = [draw(case, look) for draw in (learning, frontier, shares, budget, ratios)]
    curves, *others = [_figure(picture, key) for picture in pictures]
    return (
        f'<section id="{key}"><h2>{_title(case)}</h2>{curves}{comparison_table(case, look)}'
        f"{''.join(others)}<details><summary>All figures</summary>{figures_table(case, look)}{arms_table(case)}"
        "</details></section>\n"
    )


def _title(case: Case) -> str:
    return f'{breakable(case.table)}<span class="world">, {breakable(case.world)}</span>'


def _figure(picture: Picture | None, key: str) -> str:
    if picture is None:
        return ""
    plot = _plot(picture, key)
    return f'<figure class="{picture.name}">{plot}<figcaption>{escape(picture.caption)}</figcaption></figure>\n'


def _plot(picture: Picture | None, key: str) -> str:
    if picture is None:
        return ""
    svg = placed(picture.svg, prefix=f"{key}-{picture.name}", label=picture.alt)
    return f'<div class="plot {picture.name}" tabindex="0" role="group" aria-label="{picture.name}">{svg}</div>'
