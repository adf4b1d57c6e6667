import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from highwayman.sims.tables.table import TableError
from highwayman.sims.tables.table_file import read_table


def answer(index: str, model: str, score: float | str | None, **more: Any) -> dict[str, Any]:
    result = None if score is None else {"score": score, "metric": "mcq_accuracy", "inference_cost": 1e-4}
    return {
        "global_index": index, "question": f"What is {index}?", "llm_selected": model, "generated_answer": "A",
        "token_usage": {"input_tokens": 90, "output_tokens": 60, "total_tokens": 150}, "success": score is not None,
        "evaluation_result": result, **more,
    }  # fmt: skip


def write(folder: Path, model: str, *answers: dict[str, Any]) -> Path:
    path = folder / f"{model}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in answers))
    return path


def test_a_folder_of_models_is_one_table(tmp_path: Path) -> None:
    write(tmp_path, "small", answer("ArcMMLU_1", "small", 0.0), answer("AIME_2", "small", 1.0))
    write(tmp_path, "large", answer("AIME_2", "large", 1.0), answer("ArcMMLU_1", "large", 0.5))
    table = read_table(tmp_path)
    assert set(table.arms) == {"small", "large"}
    by_id = dict(zip(table.prompt_ids, table.with_arms(["small", "large"]).quality.tolist(), strict=True))
    assert by_id == {"ArcMMLU_1": [0.0, 0.5], "AIME_2": [1.0, 1.0]}
    assert set(table.tasks) == {"ArcMMLU", "AIME"}
    assert "What is AIME_2?" in table.prompts
    assert np.all(table.cost_usd == 1e-4)
    assert np.all(table.output_tokens == 60)


def test_several_runs_count_by_their_mean_and_what_was_not_evaluated_does_not(tmp_path: Path) -> None:
    runs = [answer("AIME_2", "small", score, run_number=run) for run, score in enumerate((1.0, 0.0, None))]
    table = read_table(write(tmp_path, "small", *runs, answer("AIME_3", "small", None)))
    assert table.prompt_ids == ("AIME_2",)
    assert table.quality.tolist() == [[0.5]]


def test_a_value_that_cannot_be_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "small", answer("AIME_2", "small", 1.0), answer("AIME_3", "small", "good"))
    with pytest.raises(TableError, match=r"small\.jsonl: line 2: quality must be a number, got 'good'"):
        read_table(path)
    path = write(tmp_path, "small", answer("AIME_2", "small", 7.0))
    with pytest.raises(TableError, match=r"quality must be a number in \[0, 1\], got 7.0"):
        read_table(path)


def test_a_column_says_of_a_question_what_its_first_line_says(tmp_path: Path) -> None:
    lines = [("AIME_2", "mail"), ("AIME_2", "chat"), ("AIME_3", "code")]
    path = write(tmp_path, "small", *(answer(index, "small", 1.0, app=app) for index, app in lines))
    assert read_table(path, labels=["app"]).labels == {"app": ("mail", "code")}
