from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from highwayman.sims.tables.table import TableError
from highwayman.sims.tables.table_file import read_table

COLUMNS = {
    "sample_id": ["arith.val.1", "arith.val.2"],
    "prompt": ["['Add one.\\nHow much is 1 + 1?']", "[plain] text]"],
    "eval_name": ["arith", "words"],
    "small/model-7b": [1.0, 0.25],
    "large-model": [0.0, 1.0],
    "small/model-7b|model_response": ["['2']", "['no']"],
    "large-model|model_response": ["['3']", "['yes']"],
    "small/model-7b|total_cost": [1e-5, 2e-5],
    "large-model|total_cost": [1e-3, 2e-3],
    "oracle_model_to_route_to": ["small/model-7b", "large-model"],
}


def test_a_row_for_each_prompt_becomes_a_table(tmp_path: Path) -> None:
    pq.write_table(pa.table(COLUMNS), tmp_path / "r.parquet")
    pacsv.write_csv(pa.table(COLUMNS), tmp_path / "r.csv")
    table = read_table(tmp_path / "r.parquet")
    assert table.arms == ("small/model-7b", "large-model")
    assert table.tasks == ("arith", "words")
    assert table.prompts == ("Add one.\nHow much is 1 + 1?", "[plain] text]")
    assert table.quality.tolist() == [[1.0, 0.0], [0.25, 1.0]]
    assert table.mean_costs() == (pytest.approx(1.5e-5), pytest.approx(1.5e-3))
    assert read_table(tmp_path / "r.csv", "routerbench").fingerprint() == table.fingerprint()


def test_a_prompt_without_every_models_quality_is_left_out(tmp_path: Path) -> None:
    pq.write_table(pa.table({**COLUMNS, "large-model": [None, 0.5]}), tmp_path / "r.parquet")
    table = read_table(tmp_path / "r.parquet")
    assert (table.prompt_ids, table.left_out) == (("arith.val.2",), 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"large-model": [1.0, 7.0]}, r"row 1: quality \(column 'large-model'\) must be a number in \[0, 1\], got 7.0"),
        ({"large-model|total_cost": [-1.0, 1.0]}, r"row 0: cost_usd \(column 'large-model\|total_cost'\) must be"),
        ({"large-model": ["good", "bad"]}, "column 'large-model' must be numbers, it holds string"),
        ({"sample_id": ["arith.val.1"] * 2}, "row 1: model 'small/model-7b' stands twice for prompt 'arith.val.1'"),
    ],
)
def test_a_value_that_cannot_be_is_named(tmp_path: Path, changes: dict[str, list[object]], message: str) -> None:
    pq.write_table(pa.table({**COLUMNS, **changes}), tmp_path / "r.parquet")
    with pytest.raises(TableError, match=rf"r\.parquet: {message}"):
        read_table(tmp_path / "r.parquet")


def test_a_pickle_is_not_opened_and_the_message_says_how_to_convert_it(tmp_path: Path) -> None:
    path = tmp_path / "routerbench_0shot.pkl"
    np.save(path.open("wb"), np.ones(1))
    with pytest.raises(
        TableError, match=r"routerbench_0shot\.pkl: a pickle runs .* pandas.read_pickle\(.*\.to_parquet"
    ):
        read_table(path)
