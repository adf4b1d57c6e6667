"""The report as one HTML page that needs nothing but itself: verdict, pictures, tables, manifest."""

from collections.abc import Sequence
from html import escape
from importlib import resources

from highwayman.sims.plots.budget import budget
from highwayman.sims.plots.differences import differences
from highwayman.sims.plots.frontier import frontier
from highwayman.sims.plots.learning import learning
from highwayman.sims.plots.ratios import ratios
from highwayman.sims.plots.shares import shares
from highwayman.sims.plots.style import Look, Picture
from highwayman.sims.plots.svg import placed
from highwayman.sims.reports.tables import arms_table, comparison_table, figures_table, manifest_table
from highwayman.sims.reports.verdict import Judgement, Verdict, headline, judge, what_ran
from highwayman.sims.sweeps.results import Case, Results

_MARKS = {Verdict.PAYS: ("good", "▲"), Verdict.DOES_NOT_PAY: ("bad", "▼"), Verdict.NOT_SHOWN: ("open", "○")}
_NOTE = (
    "Value is mean quality minus penalty, in quality units per round, learning included. Intervals are Student's t "
    "over seeds, and differences are paired: both policies met the same prompts, noise and silence. They tell how much "
    "another seed would change the result on the same prompts, not how much other prompts would. The best of several "
    "policies looks a little better than it is, being picked by the numbers it is then judged by. Best fixed and "
    "oracle are known only in hindsight."
)


def page(results: Results) -> str:
    """Return the page; the same for the same results."""
    look = Look(results.policies())
    judgements = [judge(case) for case in results.cases()]
    style = resources.files("highwayman.sims").joinpath("assets/report.css").read_text(encoding="utf-8")
    sections = "".join(_section(one, number, look) for number, one in enumerate(judgements, 1))
    said = headline(judgements)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="description" content="{escape(said)}">
<title>Highwayman: does routing pay?</title><style>{style}</style></head><body>
<header><h1>Does routing pay?</h1><p class="ran">{escape(what_ran(results))}</p></header>
<main><section aria-label="Verdict"><p class="verdict">{escape(said)}</p>
{_judgements(judgements)}
{_figure(differences(results, look), "all")}
<p class="note">{_NOTE}</p></section>
{sections}
<section><h2>How it came about</h2>{manifest_table(results.manifest)}</section></main>
</body></html>
"""


def _judgements(judgements: Sequence[Judgement]) -> str:
    items = []
    for number, one in enumerate(judgements, 1):
        css, mark = _MARKS[one.verdict]
        items.append(
            f'<li class="{css}"><p><span class="badge">{mark} {one.verdict}</span> '
            f'<a href="#case-{number}">{_title(one.case)}</a></p><p>{escape(one.why)}</p>'
            f'<p class="more">{escape(one.others)}</p></li>'
        )
    return f'<ul class="judgements">{"".join(items)}</ul>'


def _section(one: Judgement, number: int, look: Look) -> str:
    case, key = one.case, f"case-{number}"
    pictures = [draw(case, look) for draw in (learning, frontier, shares, budget, ratios)]
    curves, *others = [_figure(picture, key) for picture in pictures]
    return (
        f'<section id="{key}"><h2>{_title(case)}</h2>{curves}{comparison_table(case, look)}'
        f"{''.join(others)}<details><summary>All figures</summary>{figures_table(case, look)}{arms_table(case)}"
        "</details></section>\n"
    )


def _title(case: Case) -> str:
    return f'{escape(case.table)}<span class="world">, {escape(case.world)}</span>'


def _figure(picture: Picture | None, key: str) -> str:
    if picture is None:
        return ""
    svg = placed(picture.svg, prefix=f"{key}-{picture.name}", label=picture.alt)
    plot = f'<div class="plot" tabindex="0" role="group" aria-label="{picture.name}">{svg}</div>'
    return f'<figure class="{picture.name}">{plot}<figcaption>{escape(picture.caption)}</figcaption></figure>\n'
