import json
from pathlib import Path
from typing import Any

import pytest

from highwayman.sims.tables.table import TableError
from highwayman.sims.tables.table_file import read_table


def write(folder: Path, dataset: str, model: str, *scores: float | None, **head: Any) -> Path:
    path = folder / dataset / "test" / model / f"{dataset}-test-{model}-20260101_120000.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [
        {
            "index": number, "origin_query": f"{dataset} {number}?", "prompt": f"Answer: {dataset} {number}?",
            "score": score, "prediction": "4", "prompt_tokens": 15, "completion_tokens": 5, "cost": 1e-4,
        }
        for number, score in enumerate(scores, start=1)
    ]  # fmt: skip
    total = {"performance": 0.5, "time_taken": 9.5, "cost": 0.15, "counts": len(records), "demo": False}
    path.write_text(json.dumps({**total, **head, "records": records}))
    return path


def test_the_tree_of_results_is_one_table(tmp_path: Path) -> None:
    write(tmp_path, "aime", "gpt-5", 1.0, 0.0)
    write(tmp_path, "hle", "gpt-5", 0.25)
    write(tmp_path, "aime", "glm-4.6", 0.0, 0.0, dataset_name="aime", split="test", model_name="glm-4.6")
    write(tmp_path, "hle", "glm-4.6", 0.5)
    table = read_table(tmp_path)
    assert table.arms == ("glm-4.6", "gpt-5")
    assert list(zip(table.tasks, table.prompt_ids, strict=True)) == [
        ("aime", "test/1"), ("aime", "test/2"), ("hle", "test/1"),
    ]  # fmt: skip
    assert table.quality.tolist() == [[0.0, 1.0], [0.0, 0.0], [0.5, 0.25]]
    assert table.mean_costs() == (pytest.approx(1e-4), pytest.approx(1e-4))
    assert table.prompts[2] == "Answer: hle 1?"


def test_a_prompt_without_a_score_is_left_out(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "aime", "gpt-5", None, 1.0))
    assert (table.prompt_ids, table.left_out) == (("test/2",), 1)


def test_what_cannot_be_is_named_with_its_record(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"row 1: quality must be a number in \[0, 1\], got 3.0"):
        read_table(write(tmp_path, "aime", "gpt-5", 1.0, 3.0))
    path = write(tmp_path, "aime", "gpt-5")
    path.write_text(json.dumps({"performance": 1, "counts": 1, "records": [{"index": 1}]}))
    with pytest.raises(TableError, match="record 0 must be an object with index and score"):
        read_table(path)
    path.write_text(json.dumps({"performance": 1, "counts": 1, "records": 7}))
    with pytest.raises(TableError, match="records must be a list, got 7"):
        read_table(path)


def test_a_second_result_of_the_same_answers_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "aime", "gpt-5", 1.0)
    path.with_name("aime-test-gpt-5-20260102_120000.json").write_text(path.read_text())
    with pytest.raises(TableError, match=r"model 'gpt-5' stands twice for prompt 'test/1' of dataset 'aime'"):
        read_table(tmp_path)


def test_a_column_of_the_file_says_the_same_of_each_of_its_prompts(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "aime", "gpt-5", 1.0, 0.0, app="mail"), labels=["app"])
    assert table.labels == {"app": ("mail", "mail")}
