"""What the numbers say, in words: where routing pays, where it does not, and where nobody can tell."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from highwayman.sims.measures.over_seeds import MeanInterval
from highwayman.sims.sweeps.results import BASELINE, POLICY, Case, Results
from highwayman.sims.sweeps.standings import (
    Finding,
    PolicyStanding,
    finding,
    fixed_arm,
    mean_over_ceiling,
    shown_ahead,
    signed,
    standings,
    within_budget,
)


class RoutingVerdict(StrEnum):
    """Whether routing is worth it on a table in a world."""

    PAYS = "pays"
    DOES_NOT_PAY = "does not pay"
    NOT_SHOWN = "not shown to pay"


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """The verdict on a case, and why."""

    case: Case
    verdict: RoutingVerdict
    why: str  # about the best policy
    others: str = ""  # which of them are ahead of the best fixed arm, and which behind: the figures are the table's


def judge_case(case: Case) -> CaseVerdict:
    """Return the verdict on a case.

    It pays where a policy is shown ahead of the best fixed arm, and does not where all are shown behind an arm that the
    budget, if there is one, allows for.
    """
    ranked = standings(case)
    if not ranked:
        return CaseVerdict(case, RoutingVerdict.NOT_SHOWN, "No policy ran, only baselines.")
    best, rest = ranked[0], ranked[1:]
    sentences = [_about_best(case, best), _later(best), _over_budget(case, best), _rival_over_budget(case, best)]
    ahead = shown_ahead(case)
    return CaseVerdict(
        case, _verdict(case, ranked, ahead), " ".join(filter(None, sentences)), _others(case, rest, ahead)
    )


def headline(judgements: Sequence[CaseVerdict]) -> str:
    """Return in one sentence how often routing pays."""
    counts = {verdict: sum(judgement.verdict is verdict for judgement in judgements) for verdict in RoutingVerdict}
    total = len(judgements)
    if total == 1:
        return f"Routing {_verdict_phrase(judgements[0].verdict)} here."
    if any(count == total for count in counts.values()):
        return f"Routing {_verdict_phrase(judgements[0].verdict)} in {'both' if total == 2 else f'all {total}'} cases."
    pieces = [f"{_verdict_phrase(verdict)} in {count}" for verdict, count in counts.items() if count]
    return f"Of {total} cases, routing {_listed(pieces)}."


def what_ran(results: Results) -> str:
    """Return in one sentence what was run."""
    cases, policies = results.cases(), results.policies()
    baselines = {run.policy for run in results.runs if run.kind == BASELINE}
    rounds = sorted({run.rounds for run in results.runs})
    length = f"{rounds[0]:,}" if len(rounds) == 1 else f"{rounds[0]:,} to {rounds[-1]:,}"
    seeds = len({run.seed for run in results.runs})
    tables, worlds = {case.table for case in cases}, {case.world for case in cases}
    return (
        f"{_count(len(policies), 'policy', 'policies')} and {_count(len(baselines), 'baseline')} on "
        f"{_count(len(tables), 'table')} ({', '.join(dict.fromkeys(case.table for case in cases))}) in "
        f"{_count(len(worlds), 'world')} ({', '.join(dict.fromkeys(case.world for case in cases))}): {length} rounds a "
        f"run, {_count(seeds, 'seed')}, {_count(len(results.runs), 'run')} in all."
    )


def interval(mean_interval: MeanInterval, *, sign: bool = True) -> str:
    """Return mean and interval in three decimals, such as +0.034 [+0.021, +0.047]; only what is known of it."""
    if math.isnan(mean_interval.mean):
        return "–"
    mean, low, high = (
        signed(number) if sign else f"{number:.3f}"
        for number in (mean_interval.mean, mean_interval.low, mean_interval.high)
    )
    return f"{mean} [{low}, {high}]" if math.isfinite(mean_interval.low) else mean


def _about_best(case: Case, best: PolicyStanding) -> str:
    arm = fixed_arm(case)
    rival = f"the best fixed arm ({arm})" if arm else "the best fixed arm"
    gap = best.over_fixed
    earned = f"On average {best.name} did best: it earned {interval(best.value, sign=False)} a round"
    if gap.n == 0:
        return f"{earned}. {case.results.reference!r} did not run, so there is nothing to compare it with."
    seeds = _count(gap.n, "seed")
    if gap.n == 1:
        return f"{earned}, {signed(gap.mean)} against {rival}. One seed gives no interval, so nothing is shown."
    middle = {
        Finding.AHEAD: f"{earned}, more than {rival} by {interval(gap)} ({seeds}){_chance(case, best)}.",
        Finding.BEHIND: f"{earned}, less than {rival}: {interval(gap)} ({seeds}).{_instead(case)}",
        Finding.UNCLEAR: f"{earned}. Its difference to {rival} is {interval(gap)} ({seeds}): the interval includes 0.",
    }
    return middle[best.finding]


def _instead(case: Case) -> str:
    open_to_all = within_budget(case, case.results.reference)
    return " Sending every request to that one arm, had one known which, would have earned more." * open_to_all


def _chance(case: Case, best: PolicyStanding) -> str:
    """Say where an interval shows more than it does among so many."""
    count = len(case.names(POLICY))
    if best.name in shown_ahead(case) or not within_budget(case, best.name):
        return ""
    return f", but one of {count} policies may look so by chance"


def _later(best: PolicyStanding) -> str:
    """Say what the last quarter shows where it shows something else: what was learned came late, or did not last."""
    later_finding = finding(best.later)
    if best.later.n < 2 or best.over_fixed.n < 2 or later_finding is best.finding:
        return ""
    phrase = {Finding.AHEAD: "it is ahead", Finding.BEHIND: "it is behind", Finding.UNCLEAR: "it is not clearly ahead"}
    if later_finding is Finding.UNCLEAR and best.finding is Finding.BEHIND:
        phrase[later_finding] = "it is no longer clearly behind"
    return f"In the last quarter of its rounds {phrase[later_finding]}: {interval(best.later)}."


def _over_budget(case: Case, best: PolicyStanding) -> str:
    if not within_budget(case, best.name):
        return f"It overran its budget: it cost {mean_over_ceiling(case, best.name):.2f} times the ceiling."
    worst = case.values(best.name, "budget_ratio").max()
    if math.isnan(worst) or worst <= 1.01:
        return ""
    return f"It kept its budget, though its dearest 500 rounds cost {worst:.2f} times the ceiling."


def _rival_over_budget(case: Case, best: PolicyStanding) -> str:
    rival = case.results.reference
    if within_budget(case, rival) or best.finding is Finding.AHEAD:
        return ""
    return (
        f"But that arm costs {mean_over_ceiling(case, rival):.2f} times the ceiling: the budget does not allow for it, "
        "so falling short of it does not speak against routing."
    )


def _others(case: Case, rest: Sequence[PolicyStanding], ahead_for_sure: Collection[str]) -> str:
    compared = [standing for standing in rest if standing.over_fixed.n > 1]
    ahead = [standing for standing in compared if standing.finding is Finding.AHEAD]
    groups = [
        ([standing for standing in ahead if standing.name in ahead_for_sure], "Ahead: {}."),
        (
            [standing for standing in ahead if standing.name not in ahead_for_sure],
            "Ahead, but over budget or perhaps by chance: {}.",
        ),
        ([standing for standing in compared if standing.finding is Finding.UNCLEAR], "Not clearly different: {}."),
        ([standing for standing in compared if standing.finding is Finding.BEHIND], "Behind: {}."),
    ]
    named_groups = [(template, [standing.name for standing in group]) for group, template in groups if group]
    return " ".join(template.format(_listed(names)) for template, names in named_groups)


def _verdict(case: Case, ranked: Sequence[PolicyStanding], ahead: Collection[str]) -> RoutingVerdict:
    if ahead:
        return RoutingVerdict.PAYS
    behind = all(standing.finding is Finding.BEHIND for standing in ranked)
    return (
        RoutingVerdict.DOES_NOT_PAY
        if behind and within_budget(case, case.results.reference)
        else RoutingVerdict.NOT_SHOWN
    )


def _verdict_phrase(verdict: RoutingVerdict) -> str:
    return f"is {verdict}" if verdict is RoutingVerdict.NOT_SHOWN else str(verdict)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
