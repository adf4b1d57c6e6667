"""What the numbers say, in words: where routing pays, where it does not, and where nobody can tell."""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from highwayman.sims.measures.over_seeds import MeanInterval
from highwayman.sims.reports.standings import Finding, Standing, finding, fixed_arm, signed, standings
from highwayman.sims.sweeps.results import BASELINE, Case, Results


class Verdict(StrEnum):
    """Whether routing is worth it on a table in a world."""

    PAYS = "pays"
    DOES_NOT_PAY = "does not pay"
    NOT_SHOWN = "not shown to pay"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a case, and why."""

    case: Case
    verdict: Verdict
    why: str  # about the best policy
    others: str = ""


def judge(case: Case) -> Judgement:
    """Return the verdict on a case: it pays where a policy is shown ahead, and does not where all are shown behind."""
    found = standings(case)
    if not found:
        return Judgement(case, Verdict.NOT_SHOWN, "No policy ran, only baselines.")
    best, rest = found[0], found[1:]
    why = [_about_best(case, best), _later(best), _over_budget(case, best)]
    verdict = _verdict({one.finding for one in found})
    return Judgement(case, verdict, " ".join(part for part in why if part), _others(best, rest))


def headline(judgements: Sequence[Judgement]) -> str:
    """Return in one sentence how often routing pays."""
    counts = {verdict: sum(one.verdict is verdict for one in judgements) for verdict in Verdict}
    total = len(judgements)
    if total == 1:
        return f"Routing {_said(judgements[0].verdict)} here."
    if any(count == total for count in counts.values()):
        return f"Routing {_said(judgements[0].verdict)} in {'both' if total == 2 else f'all {total}'} cases."
    pieces = [f"{_said(verdict)} in {count}" for verdict, count in counts.items() if count]
    return f"Of {total} cases, routing {_listed(pieces)}."


def what_ran(results: Results) -> str:
    """Return in one sentence what was run."""
    cases, policies = results.cases(), results.policies()
    baselines = {run.policy for run in results.runs if run.kind == BASELINE}
    rounds = sorted({run.rounds for run in results.runs})
    length = f"{rounds[0]:,}" if len(rounds) == 1 else f"{rounds[0]:,} to {rounds[-1]:,}"
    seeds = len({run.seed for run in results.runs})
    tables, worlds = {one.table for one in cases}, {one.world for one in cases}
    return (
        f"{_count(len(policies), 'policy', 'policies')} and {_count(len(baselines), 'baseline')} on "
        f"{_count(len(tables), 'table')} ({', '.join(dict.fromkeys(one.table for one in cases))}) in "
        f"{_count(len(worlds), 'world')} ({', '.join(dict.fromkeys(one.world for one in cases))}): {length} rounds a "
        f"run, {_count(seeds, 'seed')}, {_count(len(results.runs), 'run')} in all."
    )


def interval(found: MeanInterval, *, sign: bool = True) -> str:
    """Return mean and interval in three decimals, such as +0.034 [+0.021, +0.047]; only what is known of it."""
    if math.isnan(found.mean):
        return "–"
    mean, low, high = (signed(one) if sign else f"{one:.3f}" for one in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}]" if math.isfinite(found.low) else mean


def _about_best(case: Case, best: Standing) -> str:
    arm = fixed_arm(case)
    rival = f"the best fixed arm ({arm})" if arm else "the best fixed arm"
    gap = best.over_fixed
    earned = f"The best policy is {best.name}, which earned {interval(best.value, sign=False)} a round"
    if gap.n == 0:
        return f"{earned}; {case.results.reference!r} did not run, so there is nothing to compare it with."
    seeds = _count(gap.n, "seed")
    if gap.n == 1:
        return f"{earned}: {signed(gap.mean)} against {rival}, but one seed gives no interval."
    middle = {
        Finding.AHEAD: f"{earned}, more than {rival} by {interval(gap)} ({seeds}).",
        Finding.BEHIND: f"{earned}: less than {rival}, by {interval(gap)} ({seeds}). Sending every request to "
        "that one arm would have earned more.",
        Finding.UNCLEAR: f"{earned}. Its difference to {rival} is {interval(gap)} ({seeds}): the interval includes 0.",
    }
    return middle[best.finding]


def _later(best: Standing) -> str:
    """Say what the last quarter shows where it shows something else: what was learned came late, or did not last."""
    found = finding(best.later)
    if best.later.n < 2 or best.over_fixed.n < 2 or found is best.finding:
        return ""
    word = {Finding.AHEAD: "it is ahead", Finding.BEHIND: "it is behind", Finding.UNCLEAR: "it is not clearly ahead"}
    if found is Finding.UNCLEAR and best.finding is Finding.BEHIND:
        word[found] = "it is no longer clearly behind"
    return f"In the last quarter of its rounds {word[found]}: {interval(best.later)}."


def _over_budget(case: Case, best: Standing) -> str:
    ratios = case.values(best.name, "budget_ratio")
    if math.isnan(ratios.max()) or ratios.max() <= 1.01:
        return ""
    return f"It overran its budget: its dearest 500 rounds cost {ratios.max():.2f} times the ceiling."


def _others(best: Standing, rest: Sequence[Standing]) -> str:
    by = {which: [one for one in rest if one.finding is which and one.over_fixed.n > 1] for which in Finding}
    also = "Also ahead" if best.finding is Finding.AHEAD else "Ahead"
    said = [
        (by[Finding.AHEAD], f"{also} of the best fixed arm: {{}}."),
        (by[Finding.UNCLEAR], "Not shown to be ahead of it, as their intervals include 0: {}."),
        (by[Finding.BEHIND], "Behind it, so that routing with them does not pay: {}."),
    ]
    named = [(words, [f"{one.name} {interval(one.over_fixed)}" for one in there]) for there, words in said if there]
    return " ".join(words.format(_listed(names)) for words, names in named)


def _verdict(findings: Set[Finding]) -> Verdict:
    if Finding.AHEAD in findings:
        return Verdict.PAYS
    return Verdict.DOES_NOT_PAY if findings == {Finding.BEHIND} else Verdict.NOT_SHOWN


def _said(verdict: Verdict) -> str:
    return f"is {verdict}" if verdict is Verdict.NOT_SHOWN else str(verdict)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
