import json
import math
from pathlib import Path

import pytest

from highwayman.sims.table import FullTable, TableError


def row(prompt: str, model: str, quality: float, **more: object) -> dict[str, object]:
    return {"prompt_id": prompt, "prompt": f"text of {prompt}", "model": model, "quality": quality, **more}


def test_rows_become_a_table_of_prompts_by_arms() -> None:
    rows = [row("1", "a", 0.5, cost_usd=0.1, task="t"), row("1", "b", 1.0, cost_usd=0.3, task="t")]
    table = FullTable.of([*rows, row("2", "a", 0.0, cost_usd=0.2), row("2", "b", 0.25, cost_usd=0.3)])
    assert (table.arms, table.n, table.tasks) == (("a", "b"), 2, ("t", ""))
    assert table.quality.tolist() == [[0.5, 1.0], [0.0, 0.25]]
    assert table.mean_costs() == (pytest.approx(0.15), pytest.approx(0.3))


def test_prompts_that_not_every_arm_answered_are_left_out() -> None:
    table = FullTable.of([row("1", "a", 0.5), row("1", "b", 0.5), row("2", "a", 1.0)])
    assert table.prompts == ("text of 1",)
    assert math.isnan(table.cost_usd[0, 0])
    assert table.mean_costs() == (None, None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prompt_id": "1", "prompt": "x", "model": "a"}], "row 1: no value for quality"),
        ([row("1", "a", 1.5)], r"row 1: quality must be a number in \[0, 1\], got 1.5"),
        ([row("1", "a", math.nan)], "row 1: quality"),
        ([row("1", "a", 1.0), row("1", "a", 1.0)], "row 2: model 'a' stands twice"),
        ([], "no prompt"),
    ],
)
def test_a_bad_row_is_named(rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(TableError, match=message):
        FullTable.of(rows)


def test_a_file_of_lines_is_read_and_a_bad_line_named(tmp_path: Path) -> None:
    good = tmp_path / "t.jsonl"
    good.write_text(json.dumps(row("1", "a", 1.0)) + "\n")
    assert FullTable.read_jsonl(good).n == 1
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps(row("1", "a", 1.0)) + "\n{oops\n")
    with pytest.raises(TableError, match=r"bad.jsonl: line 2: not JSON"):
        FullTable.read_jsonl(bad)
    with pytest.raises(TableError, match=r"none.jsonl"):
        FullTable.read_jsonl(tmp_path / "none.jsonl")
