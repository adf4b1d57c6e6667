import json
from pathlib import Path
from typing import Any

import pytest

from highwayman.sims.tables.table import TableError
from highwayman.sims.tables.table_file import read_table


def line(prompt: str, source: str, **arms: Any) -> str:
    return json.dumps({"prompt": prompt, "difficulty": "trivial", "arms": arms, "source": source}) + "\n"


def arm(reward: Any, cost: Any = 0.5, **more: Any) -> dict[str, Any]:
    return {"reward": reward, "cost": cost, "near_best": True, **more}


def test_rewards_and_costs_of_each_arm_become_a_table(tmp_path: Path) -> None:
    path = tmp_path / "val_k2.jsonl"
    text = line("x", "gsm8k", a=arm(0.4, 1e-5), b=arm(1, 0.02, output_tokens=12)) + line(
        "y", "mmlu", b=arm(0.5), a=arm(0)
    )
    path.write_text(text + line("z", "mmlu", a=arm(1)) + line("w", "mmlu", a=arm(1), b=arm(None)))
    table = read_table(path)
    assert (table.arms, table.tasks, table.left_out) == (("a", "b"), ("gsm8k", "mmlu"), 2)
    assert table.prompt_ids == ("val_k2/0", "val_k2/1")
    assert table.quality.tolist() == [[0.4, 1.0], [0.0, 0.5]]
    assert table.cost_usd.tolist() == [[1e-5, 0.02], [0.5, 0.5]]
    assert table.output_tokens[0, 1] == 12


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"a": arm(1.5)}, r"line 2: reward of arm 'a' must be a number in \[0, 1\], got 1.5"),
        ({"a": arm("good")}, "line 2: reward of arm 'a' must be a number, got 'good'"),
        ({"a": arm(1, -2)}, "line 2: cost of arm 'a' must be a number >= 0, got -2.0"),
        ({"a": 1.0}, "line 2: arms must hold an object for each model, got"),
    ],
)
def test_a_value_that_cannot_be_is_named(tmp_path: Path, arms: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(line("x", "s", a=arm(1)) + line("y", "s", **arms))
    with pytest.raises(TableError, match=rf"bad\.jsonl: {message}"):
        read_table(path)


def test_token_counts_alone_say_which_file_has_the_rewards(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    path.write_text(json.dumps({"prompt": "x", "input_tokens": 5, "output_tokens": 7, "cost_usd": 0.1}) + "\n")
    with pytest.raises(TableError, match=r"pareto: it holds one arm's token counts; rewards, .* val_k4\.jsonl"):
        read_table(path)
