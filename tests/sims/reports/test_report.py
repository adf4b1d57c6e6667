import hashlib
import html
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from highwayman.pages.assets import Assets
from highwayman.sims.reports.page import page
from highwayman.sims.reports.report import write_report
from highwayman.sims.sweeps.results import Results, ResultsError
from tests.sims.plots.synthetic import results

VOID = {"wbr", "meta", "br", "hr", "img", "link", "input"}
NASTY = 'a<b>&"c" $x_1$ ' + "'d'"
SMALL = results(policies={"lin_ts": 0.05, NASTY: -0.05}, seeds=3, bins=4)


class Parsed(HTMLParser):
    """What a browser would make of a page: tags that fit each other, ids, references, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.targets += [value or "" for name, value in attrs if name == "href"]
        self.targets += [one for _, value in attrs for one in re.findall(r"url\(([^)]*)\)", value or "")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


OURS = [Assets().text(name) for name in ("d3.min.js", "plot.umd.min.js", "charts.js")]


def told(text: str) -> str:
    """What a page says: all of it but its style sheet and the scripts, which are ours and no others."""
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert scripts == OURS
    return re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)


def charts(text: str) -> list[dict[str, Any]]:
    """What is drawn, in the order of the page."""
    return [json.loads(html.unescape(data)) for data in re.findall(r"data-chart='([^']*)'", text)]


@pytest.fixture(scope="module")
def small() -> str:
    return page(SMALL)


def test_the_page_is_whole_and_its_names_are_text(small: str) -> None:
    parsed = Parsed(told(small))
    assert parsed.open == []
    assert NASTY in parsed.text
    assert "b" not in parsed.tags
    kinds = [chart["kind"] for chart in charts(small)]
    assert kinds == ["intervals", "lines", "lines", "scatter", "shares", "shares", "histogram", "histogram"]
    titles = [html.unescape(title) for title in re.findall(r"<h3>(.*?)</h3>", small)]
    assert {"lin_ts", NASTY} <= set(titles)
    for baseline in ("random", "cheapest", "best fixed", "static mixture", "task mean", "knn", "ridge", "oracle"):
        assert baseline.lower() in parsed.text.lower()


def test_every_policy_stands_in_every_chart_and_table() -> None:
    made = results(seeds=2, bins=3, budget_usd=0.001)
    text = told(page(made))
    drawn = charts(text)
    whole = [json.dumps(chart) for chart in drawn if chart["kind"] in ("intervals", "lines", "scatter")]
    assert len(whole) == 5
    tables = re.findall(r"<table aria-labelledby.*?</table>", text, flags=re.DOTALL)
    figures = tables[:-2]  # then the arms and the manifest
    assert len(figures) == 2
    assert all(name in part for part in [*whole, *figures] for name in made.policies())
    for kind in ("shares", "histogram"):
        sentences = [chart["alt"] for chart in drawn if chart["kind"] == kind]
        assert all(name in sentence for name, sentence in zip(made.policies(), sentences, strict=True))


def test_nothing_is_fetched_and_no_script_runs_but_ours(small: str) -> None:
    parsed = Parsed(told(small))
    assert all(target.startswith("#") for target in parsed.targets)
    assert {name for name, _ in parsed.attributes} & {"src", "srcset", "action", "onload", "onclick", "style"} == set()
    assert not re.search(r"https?:|//[a-z]|@import", told(small))
    assert not {"script", "link", "iframe", "object", "style"} & set(parsed.tags)


def test_no_name_becomes_a_tag_an_attribute_or_an_address() -> None:
    evil = '"><img src="https://example.org/x.png" onerror="alert(1)"></script><script>'
    found = results(
        tables=(evil,), worlds={evil + "w": 1.0}, policies={evil + "p": 0.1}, seeds=2, bins=2, names=(evil,)
    )
    parsed = Parsed(told(page(replace(found, manifest={evil: {evil: evil}}))))
    assert parsed.open == []
    assert not {"img", "script"} & set(parsed.tags)
    assert {name for name, _ in parsed.attributes} & {"src", "onerror"} == set()
    assert all(target.startswith("#") for target in parsed.targets)
    assert parsed.text.count(evil) > 10


def test_every_color_of_a_chart_is_one_the_page_knows_on_light_and_dark_paper(small: str) -> None:
    used = set(re.findall(r"var\((--\w+)\)", json.dumps(charts(small)) + told(small)))
    assert {"--ink", "--quiet", "--p1", "--a1"} <= used
    assert all(small.count(f"{name}: #") == 3 for name in used)  # light, dark by choice, dark by the system's


def test_one_seed_is_said_to_show_nothing_and_no_interval_is_spoken_of() -> None:
    found = Parsed(told(page(results(policies={"p": 0.3, "q": -0.2}, seeds=1, bins=3)))).text
    assert "Routing is not shown to pay here." in found
    assert "nothing here tells merit from chance" in found
    assert not re.search(r"95%|Student|▲|▼", found)


def test_ids_are_unique_and_references_lead_somewhere() -> None:
    parsed = Parsed(told(page(results(worlds={"calm": 1.0, "drift": 0.3}, policies={"p": 0.1}, seeds=2, bins=3))))
    assert max(Counter(parsed.ids).values()) == 1
    assert {target[1:] for target in parsed.targets} <= set(parsed.ids)
    assert len(parsed.ids) > 10


def test_charts_say_their_numbers_to_those_who_cannot_see_them(small: str) -> None:
    labels = re.findall(r'<div class="plot" role="img" aria-label="([^"]*)"', small)
    assert len(labels) == small.count('class="plot"') == 8
    assert all(re.search(r"\d", label) for label in labels)
    assert small.count("<details") == 8  # each in figures, too
    parsed = Parsed(told(small))
    named = {value for name, value in parsed.attributes if name == "aria-labelledby"}
    assert named <= set(parsed.ids)
    assert parsed.tags["table"] == 8 + len(named)
    assert "<th>" not in small  # every header says of what


def test_each_difference_is_marked_by_a_sign_that_can_be_heard(small: str) -> None:
    assert '<td class="num good"><span role="img" aria-label="ahead">▲</span> +0.0' in small
    assert re.search(r'aria-label="behind">▼</span> −0\.\d+ <span class="ends">\[−', small)


def test_the_same_results_give_the_same_bytes_in_any_process(small: str) -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); import hashlib; from tests.sims.reports.test_report import SMALL, page;"
    )
    code += "print(hashlib.sha256(page(SMALL).encode()).hexdigest())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.strip() == hashlib.sha256(small.encode()).hexdigest()


def test_there_is_a_budget_chart_only_with_a_budget(small: str) -> None:
    assert 'id="case-1-budget"' not in small
    assert "worst 500 rounds over ceiling" not in small
    with_budget = page(results(policies={"p": 0.1}, seeds=2, bins=3, budget_usd=0.001))
    assert 'id="case-1-budget"' in with_budget
    assert "worst 500 rounds over ceiling" in with_budget


def test_the_page_says_where_routing_does_not_pay() -> None:
    found = Parsed(told(page(results(policies={"p": -0.1, "q": -0.2}, seeds=3, bins=3, full=False)))).text
    assert "Routing does not pay here." in found
    assert "▼ does not pay" in found


def test_the_manifest_is_shown(small: str) -> None:
    assert "data.<wbr>mixed_bench.<wbr>sha256" in small
    assert "9f86d081884c7d65" in small
    assert "2026-01-02" in small


@pytest.mark.parametrize("missing", ["curves", "frontier", "ratios", "manifest"])
def test_what_a_sweep_did_not_measure_is_left_out(missing: str) -> None:
    found = results(policies={"p": 0.1}, seeds=1, bins=2)
    parsed = Parsed(told(page(replace(found, **{missing: type(getattr(found, missing))()}))))
    assert parsed.open == []
    assert "On average p did best" in parsed.text


def test_unknown_costs_are_not_drawn_and_not_taken_for_nothing() -> None:
    found = results(policies={"p": 0.1}, seeds=2, bins=2, full=False)
    unpriced = Results(
        tuple(replace(run, cost_usd=math.nan) for run in found.runs),
        arms={name: replace(arms, cost_usd=(math.nan,) * 5, hull=()) for name, arms in found.arms.items()},
    )
    text = page(unpriced)
    assert 'id="case-1-frontier"' not in text
    assert "nan" not in Parsed(told(text)).text.lower()
    assert '<td class="num">unknown</td>' in text  # the arms' prices


def test_a_large_sweep_makes_a_page_that_can_still_be_sent_by_mail() -> None:
    policies = {f"policy_{number}": 0.05 - 0.02 * number for number in range(6)}
    text = page(results(policies=policies, seeds=3, bins=200, budget_usd=0.001))
    own = len(told(text).encode())
    assert len(text.encode()) + 5 * own < 1_500_000  # of six tables and worlds


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, small: str) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(SMALL, path)
    assert path.read_text(encoding="utf-8") == small
    with pytest.raises(ResultsError, match="there are none"):
        write_report(Results(()), path)
    assert path.read_text(encoding="utf-8") == small
    with pytest.raises(ResultsError, match=re.escape(str(tmp_path / "new"))):
        write_report(SMALL, tmp_path / "new")  # a folder
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]
