"""The report of a sweep as one HTML page that needs nothing but itself: verdict, charts, tables, manifest."""

from collections.abc import Sequence
from dataclasses import dataclass

from highwayman.pages.charts import Figure
from highwayman.pages.multiples import Multiples
from highwayman.sims.plots.budget import budget
from highwayman.sims.plots.differences import differences, how_to_read
from highwayman.sims.plots.frontier import frontier
from highwayman.sims.plots.learning import learning
from highwayman.sims.plots.look import Look
from highwayman.sims.plots.ratios import ratios
from highwayman.sims.plots.shares import shares
from highwayman.sims.reports.document import document
from highwayman.sims.reports.tables import ReportTable, arms_table, comparison_table, figures_table, manifest_table
from highwayman.sims.reports.verdict import CaseVerdict, RoutingVerdict, headline, judge_case, what_ran
from highwayman.sims.sweeps.results import Results

_MARKS = {
    RoutingVerdict.PAYS: ("good", "▲"),
    RoutingVerdict.DOES_NOT_PAY: ("bad", "▼"),
    RoutingVerdict.NOT_SHOWN: ("", "○"),
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


@dataclass(frozen=True, slots=True)
class CaseSection:
    """What is shown of a table in a world."""

    judgement: CaseVerdict
    tone: str
    mark: str
    difference: Figure | None
    curves: Sequence[Figure]
    comparison: ReportTable
    frontier: Figure | None
    shares: Multiples | None
    budget: Figure | None
    ratios: Multiples | None
    tables: Sequence[ReportTable]


def page(results: Results) -> str:
    """Return the page; the same for the same results."""
    judgements = [judge_case(case) for case in results.cases()]
    sections, seeds = _sections(judgements, Look.of(results)), len({run.seed for run in results.runs})
    return document(
        "simulation.html.j2",
        ran=what_ran(results),
        verdict=headline(judgements),
        sections=sections,
        reading=how_to_read(seeds) if any(section.difference for section in sections) else "",
        notes=[_DEFINED, _INTERVALS if seeds > 1 else _ONE_SEED, _HINDSIGHT],
        manifest=manifest_table(results.manifest),
    )


def _sections(judgements: Sequence[CaseVerdict], look: Look) -> list[CaseSection]:
    figures = differences([judgement.case for judgement in judgements], look)
    return [_section(judgement, look, figure) for judgement, figure in zip(judgements, figures, strict=True)]


def _section(judgement: CaseVerdict, look: Look, difference: Figure | None) -> CaseSection:
    case = judgement.case
    return CaseSection(
        judgement,
        *_MARKS[judgement.verdict],
        difference,
        learning(case, look),
        comparison_table(case, look),
        frontier(case, look),
        shares(case, look),
        budget(case, look),
        ratios(case, look),
        (figures_table(case, look), arms_table(case, look)),
    )
