import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from highwayman.sims.logs.judged import LogWithTargets
from highwayman.sims.replay.comparison import EstimationMethod, compare_policies, logged_policy_value
from highwayman.sims.reports.answers_page import EvaluationReport, headline, page, write_answers
from highwayman.sims.sweeps.results import ResultsError
from tests.sims.replay.test_comparison import random_log
from tests.sims.reports.test_report import charts, told

NASTY = '<script>alert("policy")</script>'


def answered(*names: str) -> EvaluationReport:
    log = random_log(3000, good=(0.8, 0.3))
    wishes = ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5))
    targets = [np.tile(wish, (log.n, 1)) for wish, _ in zip(wishes, names, strict=False)]
    method = EstimationMethod()
    chunks = lambda: [LogWithTargets.from_log(log, targets)]  # noqa: E731
    known = logged_policy_value(chunks, method.interval)
    found = compare_policies(chunks, names, method, known=known)
    return EvaluationReport("log.parquet", known, found, method, {"command": "highwayman evaluate"}, ("3 erased",))


def test_the_headline_says_who_earns_more_and_who_less() -> None:
    said = headline(answered("better", "worse", "same").answers)
    assert said == (
        "better: would have earned more than what ran; worse: would have earned less; "
        "same: not shown to differ from what ran."
    )


def test_the_page_needs_nothing_but_itself_and_escapes_names() -> None:
    text = page(answered("better", NASTY))
    assert NASTY not in text
    said = told(text)
    assert not re.search(r'(?:src|href)="(?!#)|url\((?!#)|@import|https?:', said)
    assert [chart["kind"] for chart in charts(text)] == ["intervals"] * 3 + ["histogram"] * 2
    assert "3 erased" in said
    assert "highwayman evaluate" in said


def test_what_the_log_cannot_tell_is_hollow_and_the_best_fixed_arm_stands_first() -> None:
    known = answered("better", "worse", "same")
    best = replace(known.answers[0], policy="best fixed: a")
    rows = charts(page(replace(known, best_fixed=best)))[0]["rows"]
    assert [row["name"] for row in rows] == ["best fixed: a", "as it ran", "better", "worse", "same"]
    assert [row["hollow"] for row in rows] == [False, False, False, False, True]


def test_there_is_one_effective_sample_size_and_it_is_said_what_it_is() -> None:
    known = answered("better", "worse")
    said = told(page(known))
    support = known.answers[0].gain.support
    assert said.count(f"{support.ess:,.0f} of {support.n:,}") == 1
    assert "how many rounds of the policy&#39;s own the rated rounds are worth" in said
    assert not re.search("effective sample size", " ".join(re.findall(r"data-chart='[^']*'", said)))


def test_the_same_answers_give_the_same_page() -> None:
    assert page(answered("better", "worse")) == page(answered("better", "worse"))


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    asked = answered("better")
    write_answers(asked, tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == page(asked)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="file"):
        write_answers(asked, tmp_path / "file" / "page.html")
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["file", "new", "page.html"]


def test_the_first_row_of_the_figures_is_the_best_fixed_arm_by_name() -> None:
    known = answered("better", "worse")
    said = page(replace(known, best_fixed=replace(known.answers[0], policy="best fixed: a")))
    figures = said[said.index("All figures per request") :]
    places = [figures.index(name) for name in ("best fixed: a", "as it ran", "better", "worse")]
    assert places == sorted(places)
    assert "picked among the arms by these same numbers" in said
    assert "can tell of no arm" in page(known)
