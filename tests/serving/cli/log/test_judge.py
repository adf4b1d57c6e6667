"""`highwayman judge report`: the table of arms."""

from io import StringIO
from types import SimpleNamespace

from rich.console import Console

from highwayman.serving.cli.log.judge import arms_table


def test_a_long_name_is_broken_on_eighty_columns_and_no_number_is() -> None:
    name = "mistralai/Mixtral-8x22B-Instruct-v0.1"
    arm = SimpleNamespace(arm=name, scored=123456, thumbs=12345, score=0.8, quality=0.71, low=0.6, high=0.9, bias=0.03)
    out = StringIO()
    Console(width=80, file=out).print(arms_table([arm]))
    rows = [line.split() for line in out.getvalue().splitlines() if "─" not in line]
    assert max(map(len, out.getvalue().splitlines())) <= 80
    first = next(row for row in rows if "123456" in row)
    assert first[1:] == ["123456", "12345", "0.800", "0.710", "(0.600-0.900)", "+0.030"]
    assert first[0] + "".join(row[0] for row in rows[rows.index(first) + 1 :] if row) == name
