import math
from dataclasses import replace

import numpy as np
import pytest

from highwayman.sims.tables.table import FullTable, TableError

QUALITY = np.array([[0.1, 0.9, 0.5], [0.2, 0.7, 0.6], [0.0, 0.8, 0.4]])
TABLE = FullTable.from_arrays(("bad", "good", "fair"), QUALITY, prompts=("x", "y", "z"), cost_usd=QUALITY * 2)


def row(prompt: str, model: str, quality: float | None, **more: object) -> dict[str, object]:
    return {"prompt_id": prompt, "prompt": f"text of {prompt}", "model": model, "quality": quality, **more}


def test_rows_become_a_table_of_prompts_by_arms() -> None:
    rows = [row("1", "a", 0.5, cost_usd=0.1, task="t"), row("1", "b", 1.0, cost_usd=0.3, task="t")]
    table = FullTable.from_rows(
        [*rows, row("2", "a", 0.0, cost_usd=0.2), row("2", "b", 0.25, cost_usd=0.3, latency_s=2)]
    )
    assert (table.arms, table.n, table.tasks, table.left_out) == (("a", "b"), 2, ("t", ""), 0)
    assert table.quality.tolist() == [[0.5, 1.0], [0.0, 0.25]]
    assert table.mean_costs() == (pytest.approx(0.15), pytest.approx(0.3))
    assert table.latency_s[1, 1] == 2.0
    assert np.isnan(table.latency_s).sum() == 3


def test_prompts_that_not_every_arm_answered_are_left_out_and_counted() -> None:
    rows = [row("1", "a", 0.5), row("1", "b", 0.5), row("2", "a", 1.0), row("3", "a", 1.0), row("3", "b", None)]
    table = FullTable.from_rows(rows)
    assert (table.prompts, table.left_out) == (("text of 1",), 2)
    assert math.isnan(table.cost_usd[0, 0])
    assert table.mean_costs() == (None, None)


def test_a_prompt_id_may_come_again_in_another_dataset_which_is_a_task_where_none_is_said() -> None:
    table = FullTable.from_rows(
        [row("1", "a", 0.1, dataset="math"), row("1", "a", 0.9, dataset="law", task="contracts")]
    )
    assert (table.prompt_ids, table.datasets) == (("1", "1"), ("math", "law"))
    assert table.tasks == ("math", "contracts")
    assert table.quality.tolist() == [[0.1], [0.9]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prompt_id": "1", "prompt": "x", "model": "a"}], "row 0: no value for quality"),
        ([row("1", "a", 0.5), {**row("1", "b", 0.5), "prompt": None}], "row 1: no value for prompt"),
        ([row("1", "a", 0.5), row("1", "b", 1.5)], r"row 1: quality must be a number in \[0, 1\], got 1.5"),
        ([row("1", "a", math.nan)], "row 0: quality"),
        ([row("1", "a", 0.5, cost_usd=-1)], "row 0: cost_usd must be a number >= 0, got -1"),
        ([row("1", "a", 0.5, latency_s="fast")], "row 0: latency_s must be a number"),
        ([row("1", "a", 1.0), row("1", "a", 1.0)], "row 1: model 'a' stands twice for prompt '1'; .* in table: row 0"),
        ([row("1", "a", 1.0), row("2", "b", 1.0)], "no prompt has a quality for each of the models a, b"),
        ([], "holds no prompt"),
    ],
)
def test_a_bad_row_is_named(rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(TableError, match=message):
        FullTable.from_rows(rows)


def test_some_prompts_are_taken_with_all_that_is_known_of_them() -> None:
    for some in (np.array([2, 0], dtype=np.intp), slice(None, None, -2)):
        taken = TABLE.take(some)
        assert (taken.prompts, taken.prompt_ids, taken.arms) == (("z", "x"), ("2", "0"), TABLE.arms)
        assert taken.quality.tolist() == QUALITY[[2, 0]].tolist()
        assert taken.cost_usd.tolist() == (QUALITY[[2, 0]] * 2).tolist()
    assert TABLE.take(np.array([False, True, False])).prompts == ("y",)


def test_arms_are_taken_in_the_order_asked_for() -> None:
    table = TABLE.with_arms(["fair", "bad"])
    assert table.arms == ("fair", "bad")
    assert table.quality.tolist() == QUALITY[:, [2, 0]].tolist()
    assert np.isnan(table.latency_s).all()


@pytest.mark.parametrize("names", [["worse"], ["good", "good"], []])
def test_arms_that_cannot_be_taken_are_refused(names: list[str]) -> None:
    with pytest.raises(TableError, match="arms must be some of bad, good, fair, each once"):
        TABLE.with_arms(names)


def test_a_spread_takes_the_worst_the_best_and_evenly_between() -> None:
    assert TABLE.spread(2).arms == ("bad", "good")
    assert TABLE.spread(3).arms == ("bad", "fair", "good")
    assert TABLE.spread(9).arms == ("bad", "fair", "good")
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        TABLE.spread(0)


def test_a_fingerprint_changes_with_anything_that_the_table_says() -> None:
    changed = [
        replace(TABLE, arms=("bad", "good", "fail")),
        replace(TABLE, prompts=("x", "y", "Z")),
        replace(TABLE, prompts=("xy", "", "z")),
        replace(TABLE, tasks=("t", "", "")),
        replace(TABLE, datasets=("d", "", "")),
        replace(TABLE, quality=QUALITY + 1e-16),
        replace(TABLE, latency_s=TABLE.cost_usd, cost_usd=TABLE.latency_s),
        TABLE.take(slice(2)),
        TABLE.with_arms(["good", "bad", "fair"]),
    ]
    prints = [table.fingerprint() for table in (TABLE, *changed)]
    assert len(set(prints)) == len(prints)
    same = replace(TABLE, quality=QUALITY.copy(order="F"), latency_s=-TABLE.latency_s, left_out=3)
    assert same.fingerprint() == prints[0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            replace(TABLE, quality=QUALITY * 2),
            r"prompt '0', model 'good': quality must be a number in \[0, 1\], got 1.8",
        ),
        (replace(TABLE, quality=QUALITY * np.nan), "prompt '0', model 'bad': quality must be"),
        (replace(TABLE, cost_usd=QUALITY - 0.5), "prompt '0', model 'bad': cost_usd must be a number >= 0, got -0.4"),
        (replace(TABLE, latency_s=QUALITY + np.inf), "latency_s must be a number >= 0, got inf"),
        (replace(TABLE, prompts=("x", "y")), r"has shape \(3,\), 2 prompts of 3 arms have \(2,\)"),
        (replace(TABLE, quality=QUALITY.T[:2]), r"quality has shape \(2, 3\), 3 prompts of 3 arms have \(3, 3\)"),
        (replace(TABLE, prompt_ids=("1", "1", "2")), "each prompt and each arm once"),
        (replace(TABLE, arms=("a", "a", "b")), "each prompt and each arm once"),
        (TABLE.take(slice(0)), "one prompt or more"),
    ],
)
def test_a_table_that_cannot_be_is_refused(bad: FullTable, message: str) -> None:
    TABLE.check()
    with pytest.raises(TableError, match=message):
        bad.check()
