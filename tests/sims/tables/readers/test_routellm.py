from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from highwayman.sims.tables.table import TableError
from highwayman.sims.tables.table_file import read_table

HEAD = "prompt,org/weak-8x7b,strong-4"
MATHS = HEAD + '\n"How much is 1 + 1?\nA. 2\nB. 3\nAnswer:",True,True\nHow much is 2 + 2?,False,True\n'
RESPONSES = HEAD + ',org/weak-8x7b_response,strong-4_response\nSay yes.,False,True,"no,\nnever",yes\n'


def test_each_file_is_a_task_and_right_answers_are_worth_one(tmp_path: Path) -> None:
    (tmp_path / "maths.csv").write_text(MATHS)
    (tmp_path / "talk.csv").write_text(RESPONSES)
    table = read_table(tmp_path)
    assert table.arms == ("org/weak-8x7b", "strong-4")
    assert table.tasks == ("maths", "maths", "talk")
    assert table.prompt_ids == ("maths/0", "maths/1", "talk/0")
    assert table.quality.tolist() == [[1, 1], [0, 1], [0, 1]]
    assert table.mean_costs() == (None, None)


def test_parquet_with_true_booleans_is_read_alike(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["x", "y"], "m": [True, False]}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").quality.tolist() == [[1.0], [0.0]]


def test_a_value_that_is_neither_true_nor_false_is_named(tmp_path: Path) -> None:
    path = tmp_path / "maths.csv"
    path.write_text(MATHS + "How much is 3 + 3?,maybe,True\n")
    with pytest.raises(TableError, match=r"maths\.csv: row 2: org/weak-8x7b must be a number, got 'maybe'"):
        read_table(path)


def test_other_columns_are_not_taken_for_models(tmp_path: Path) -> None:
    path = tmp_path / "maths.csv"
    path.write_text("prompt,m,note\nx,True,good\n")
    with pytest.raises(TableError, match="format routellm: column 'note' does not hold True and False"):
        read_table(path, format="routellm")


def test_files_whose_models_have_other_names_make_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt,m,n\nx,True,True\n")
    (tmp_path / "b.csv").write_text("prompt,M,n\nx,True,True\n")
    with pytest.raises(
        TableError, match="no prompt has a quality for each of the models m, n, M: 'm' has one for 1 of 2"
    ):
        read_table(tmp_path)
