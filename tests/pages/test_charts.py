"""Charts as data."""

import html
import json
import math
import re
from base64 import b64encode
from hashlib import sha256

from highwayman.pages.assets import Assets
from highwayman.pages.charts import Axis, Figure, Histogram, IntervalRow, Intervals, Lines, Series, Shares
from highwayman.pages.document import environment
from highwayman.pages.multiples import Multiples


def test_numbers_that_are_none_are_null_and_moments_keep_their_seconds() -> None:
    line = Series("a", "red", [1_795_811_063.0], [math.nan], low=[-math.inf], high=[0.123456789012])
    data = Figure(Lines("alt", Axis(unit="time"), Axis(), [line])).data()
    assert data["kind"] == "lines"
    assert data["series"][0]["x"] == [1_795_811_063.0]
    assert data["series"][0]["y"] == data["series"][0]["low"] == [None]
    json.dumps(data, allow_nan=False)


def test_the_table_says_what_the_chart_shows() -> None:
    heads, rows = Shares("alt", Axis("at"), [1.0, 2.0], {"a": [1, 0], "b": [3, 0]}, {}).table()
    assert heads == ("at", "a", "b")
    assert rows == [("1", "25%", "75%"), ("2", "–", "–")]


def test_what_is_put_into_a_page_is_text_wherever_it_stands() -> None:
    evil = "'><script>alert(1)</script>"
    figure = Figure(Intervals(evil, Axis(evil), [IntervalRow(evil, 0.5)]), evil, evil, {evil: evil})
    page = environment(Assets()).from_string(
        '{% from "figures.html.j2" import figure with context %}{{ figure(f, "i") }}'
    )
    assert "<script" not in page.render(f=figure)


def test_a_table_of_many_lines_has_some_points_of_each_the_last_among_them() -> None:
    lines = [Series(name, "red", list(range(300)), [0.5] * 300) for name in ("a", "b", "c")]
    rows = Lines("alt", Axis("round"), Axis(), lines).table()[1]
    assert len(rows) <= 200
    assert {name for name, at, *_ in rows if at == "299"} == {"a", "b", "c"}


def test_small_figures_stand_under_one_title_with_one_legend() -> None:
    figures = [Figure(Histogram(f"of {name}", Axis("ratio"), [0.1, 1.0], [3.0]), title=name) for name in ("a", "b")]
    template = '{% from "figures.html.j2" import multiples with context %}{{ multiples(m, "i") }}'
    page = environment(Assets()).from_string(template).render(m=Multiples(figures, "both", "read so", {"x": "red"}))
    assert re.findall(r'<figure class="figure" id="([^"]*)"', page) == ["i-1", "i-2"]
    assert (page.count("both"), page.count("read so"), page.count('class="legend"')) == (1, 1, 1)


def test_a_report_may_run_its_own_scripts_and_ask_nobody() -> None:
    page = environment(Assets()).get_template("report.html.j2").render(title="<script>")
    (rules,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert rules.startswith("default-src 'none'; style-src")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    assert [f"'sha256-{digest}'" in html.unescape(rules) for digest in hashes] == [True] * 3


def test_parts_of_a_whole_are_drawn_in_their_own_order() -> None:
    figure = Figure(Shares("alt", Axis(), [1.0], {"plain": [1.0], "critic": [2.0]}, {}))
    page = (
        environment(Assets())
        .from_string('{% from "figures.html.j2" import figure %}{{ figure(f, "i") }}')
        .render(f=figure)
    )
    assert page.index('"plain": [1.0]') < page.index('"critic": [2.0]')
