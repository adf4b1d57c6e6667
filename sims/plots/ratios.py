"""How well a log can judge other policies than its own: importance ratios, and what they leave of the rounds."""

from collections.abc import Sequence

from highwayman.pages.charts import Axis, Figure, Histogram
from highwayman.pages.multiples import Multiples
from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import Case, Ratios


def ratios(case: Case, look: Look) -> Multiples | None:
    """Return small histograms, one per policy, or None where there are none."""
    figures = [
        histogram(policy_ratios, look.policies[policy_ratios.policy], _span(case), _effective(policy_ratios))
        for policy_ratios in _of(case)
        if policy_ratios.policy in look.policies
    ]
    return (
        Multiples(figures, "Importance ratios of an even draw against each policy's log", _CAPTION) if figures else None
    )


def histogram(policy_ratios: Ratios, color: str, span: tuple[float, float], caption: str = "") -> Figure:
    """Return a small histogram of importance ratios, on a logarithmic axis over `span`."""
    low, high = span
    bins = [
        place
        for place, edge in enumerate(policy_ratios.edges[:-1])
        if edge < high * (1 - 1e-9) and policy_ratios.edges[place + 1] > low * (1 + 1e-9)
    ]
    first, last = bins[0], bins[-1]
    chart = Histogram(
        f"Importance ratios of {policy_ratios.policy}, in {sum(policy_ratios.counts):,} rounds. {caption}".strip(),
        Axis("importance ratio", scale="log", low=low, high=high),
        policy_ratios.edges[first : last + 2],
        policy_ratios.counts[first : last + 1],
        color=color,
        reference=1.0,
    )
    return Figure(chart, title=policy_ratios.policy, caption=caption)


def span_of(ratios_of_policies: Sequence[Ratios]) -> tuple[float, float]:
    """Return the least and the greatest ratio there was, 1 being among them."""
    filled = [
        (edge, policy_ratios.edges[place + 1])
        for policy_ratios in ratios_of_policies
        for place, edge in enumerate(policy_ratios.edges[:-1])
        if policy_ratios.counts[place]
    ]
    return min([0.9, *(low for low, _ in filled)]), max([1.1, *(high for _, high in filled)])


_CAPTION = (
    "Each round's ratio is the probability an even draw would have given to the arm taken, over the probability the "
    "policy gave it. Ratios near 1 (the dashed line) mean that the log can judge others; a long tail at the right "
    "means that a few rounds would decide, and the effective sample size says how few: so many rounds drawn evenly "
    "would tell as much of an even draw."
)


def _of(case: Case) -> list[Ratios]:
    return [
        policy_ratios
        for policy_ratios in case.results.ratios
        if (policy_ratios.table, policy_ratios.world) == (case.table, case.world) and any(policy_ratios.counts)
    ]


def _span(case: Case) -> tuple[float, float]:
    return span_of(_of(case))


def _effective(policy_ratios: Ratios) -> str:
    n = sum(policy_ratios.counts)
    return f"effective sample size {policy_ratios.ess:,.0f} of {n:,} rounds ({policy_ratios.ess / n:.0%})"
