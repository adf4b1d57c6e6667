import json
from pathlib import Path

import pytest

from highwayman.sims.tables.table import TableError
from highwayman.sims.tables.table_file import read_table

HEAD = "prompt_id,prompt,model,quality,cost_usd\n"
ROW = {"prompt_id": "1", "prompt": "x", "model": "a", "quality": 1.0}


def test_csv_keeps_ids_as_they_are_and_takes_line_breaks_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEAD + '007,"two\nlines, and ""quotes""",a,True,\n007,"two\nlines",b, 0.5 ,0.25\n')
    table = read_table(path)
    assert (table.prompt_ids, table.prompts) == (("007",), ('two\nlines, and "quotes"',))
    assert table.quality.tolist() == [[1.0, 0.5]]
    assert table.mean_costs() == (None, 0.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "1,x,a,0.5,\n1,x,b,good,\n", "row 1: quality must be a number, got 'good'"),
        (HEAD + "1,x,a,nan,\n", r"row 0: quality must be a number in \[0, 1\], got nan"),
        (HEAD + "1,x,a,0.5,cheap\n", "row 0: cost_usd must be a number, got 'cheap'"),
        (HEAD + ",x,a,0.5,\n", "row 0: prompt_id is missing"),
        (HEAD + "1,x,a,0.5,\n1,x,b,0.5\n", "row 1: has 4 columns, the head has 5"),
        (HEAD, "holds no rows"),
        ("", "Empty CSV file"),
        ("prompt_id,prompt,model,quality,model\n1,x,a,1,b\n", "column 'model' stands twice"),
    ],
)
def test_what_is_wrong_in_csv_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=rf"bad\.csv: {message}"):
        read_table(path)


def test_json_lines_may_hold_a_line_separator_blank_lines_and_numbers_as_ids(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{**ROW, "prompt_id": 7, "prompt": "one\u2028two"}, {**ROW, "prompt_id": 8, "quality": True, "cost_usd": 1}]
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    table = read_table(path)
    assert (table.prompt_ids, table.prompts) == (("7", "8"), ("one\u2028two", "x"))
    assert table.quality.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{oops", "line 3: not JSON"),
        ("[]", "line 3: not a JSON object"),
        ('{"prompt": "\xff"}'.encode("latin-1"), "line 3: not JSON"),
        (json.dumps({**ROW, "model": ["b"]}), r"line 3: model must be text, got \['b'\]"),
        (json.dumps({**ROW, "model": "\ud800"}), "line 3: model must be text, got "),
        (json.dumps({**ROW, "model": None}), "line 3: model is missing"),
        (json.dumps({**ROW, "model": "b", "quality": "1"}), "line 3: quality must be a number, got '1'"),
        (json.dumps({**ROW, "model": "b", "quality": 10**400}), "quality holds a number that is too large"),
        (json.dumps(ROW), "line 3: model 'a' stands twice for prompt '1'; the first time in .*: line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str | bytes, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n\n" + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(TableError, match=rf"bad\.jsonl: .*{message}|bad\.jsonl: {message}"):
        read_table(path)


def test_files_may_hold_a_model_each(tmp_path: Path) -> None:
    for model in "ab":
        (tmp_path / f"{model}.jsonl").write_text(json.dumps({**ROW, "model": model}) + "\n")
    assert read_table(tmp_path).arms == ("a", "b")
    assert read_table([tmp_path / "b.jsonl", tmp_path / "a.jsonl"]).arms == ("b", "a")


def test_an_answer_that_stands_in_two_files_is_named_with_both(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(ROW) + "\n")
    with pytest.raises(TableError, match=r"two\.jsonl: line 1: model 'a' stands twice .* in .*one\.jsonl: line 1"):
        read_table(tmp_path)
