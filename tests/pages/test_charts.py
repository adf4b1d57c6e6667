"""Charts as data."""

import json
import math

from highwayman.pages.assets import Assets
from highwayman.pages.charts import Axis, Figure, Interval, Intervals, Lines, Series, Shares
from highwayman.pages.document import environment


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
    figure = Figure(Intervals(evil, Axis(evil), [Interval(evil, 0.5)]), evil, evil, {evil: evil})
    page = environment(Assets()).from_string(
        '{% from "figures.html.j2" import figure with context %}{{ figure(f, "i") }}'
    )
    assert "<script" not in page.render(f=figure)
