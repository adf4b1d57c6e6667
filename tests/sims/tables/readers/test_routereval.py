import json
from pathlib import Path
from typing import Any

import pytest

from highwayman.sims.tables.table import TableError
from highwayman.sims.tables.table_file import read_table

POOL: dict[str, Any] = {
    "model": ["org/small", "org/large"],
    "prompt": {"train_prompt": ["a?", "b?"], "val_prompt": [], "test_prompt": ["c?"]},
    "data": {"train_score": [[1, 0], [0, 1]], "val_score": [], "test_score": [[0.5, 1.0]], "train_label": [[1, 0]]},
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "arc_easy_2.json"
    path.write_text(json.dumps({**POOL, **changes}))
    return path


def test_a_pool_of_candidates_is_a_table_of_all_splits(tmp_path: Path) -> None:
    table = read_table(write(tmp_path))
    assert table.arms == ("org/small", "org/large")
    assert table.prompts == ("a?", "b?", "c?")
    assert table.prompt_ids == ("arc_easy_2/train/0", "arc_easy_2/train/1", "arc_easy_2/test/0")
    assert table.quality.tolist() == [[1, 0], [0, 1], [0.5, 1]]
    assert table.mean_costs() == (None, None)


def test_a_column_of_the_file_says_the_same_of_each_of_its_prompts(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, app="mail"), labels=["app"]).labels == {"app": ("mail", "mail", "mail")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ["a", "a"]}, "model must be a list of different names"),
        ({"data": {"test_score": [[1, 2, 3]]}}, "train_score has 0 rows for 2 prompts"),
        ({"data": {**POOL["data"], "test_score": [["x", 1]]}}, "test_score must be rows of 2 numbers"),
        ({"data": {**POOL["data"], "test_score": [[7, 1]]}}, r"arc_easy_2/test/0: score of 'org/small' must be a num"),
        ({"prompt": {"train_prompt": 3}}, "train_prompt must be a list of texts"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_table(write(tmp_path, **changes))


def test_its_pickle_is_not_opened_and_the_message_says_where_the_conversion_stands(tmp_path: Path) -> None:
    path = tmp_path / "arc_router_dataset.pkl"
    path.write_bytes(b"never read")
    with pytest.raises(
        TableError, match=r"arc_router_dataset\.pkl: a pickle runs .* as JSON, as docs/reference/tables\.md says"
    ):
        read_table(path)
