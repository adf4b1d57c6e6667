"""`highwayman simulate` from end to end: the same figures whoever computes them, and nothing half-written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from highwayman.serving.cli.errors import PlainErrorGroup
from highwayman.serving.cli.offline.simulate import simulate
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import write_table

QUESTIONS = ("What is the capital of {}?", "Write a function that sorts {}.")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms, one good at facts, the other, ten times as dear, at code."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("tables") / "small.parquet"
    prompts = tuple(QUESTIONS[number % 2].format(f"thing {number}") for number in range(60))
    right = np.where(np.arange(60)[:, None] % 2 == np.arange(2), 0.9, 0.2)
    quality = (rng.random((60, 2)) < right).astype(np.float64)
    write_table(
        path,
        FullTable.from_arrays(("facts", "code"), quality, prompts=prompts, cost_usd=np.tile([0.001, 0.01], (60, 1))),
    )
    return path


def run(*words: object) -> Result:
    main = PlainErrorGroup("main")
    main.add_command(simulate)
    return CliRunner().invoke(main, ["simulate", *map(str, words)])


def told(*words: object) -> dict[str, Any]:
    done = run(*words, "--json", "--seeds", 2, "--rounds", 200)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def results(found: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row for row in found["cases"][0]["results"]}


def test_results_are_the_same_on_one_process_and_on_two(table: Path) -> None:
    words = ("--data", table, "--policy", "LinTS", "--policy", "LinUCB", "--world", "Thumbs:rate=0.3+Delay:mean_s=20")
    assert told(*words, "--jobs", 1)["cases"] == told(*words, "--jobs", 2)["cases"]


def test_a_policy_earns_the_same_whichever_others_run(table: Path) -> None:
    alone = results(told("--data", table, "--policy", "LinTS", "--jobs", 1))
    among = results(told("--data", table, "--policy", "SquareCB", "--policy", "LinTS", "--jobs", 1))
    assert alone["LinTS"] == among["LinTS"]
    assert alone["best fixed"] == among["best fixed"]


def test_baselines_stand_in_their_order(table: Path) -> None:
    found = results(told("--data", table, "--policy", "Uniform", "--cost-weight", 0, "--jobs", 1))
    value = {name: row["value"]["mean"] for name, row in found.items()}
    assert value["oracle"] >= max(value.values()) - 1e-12
    assert value["best fixed"] > value["random"]
    assert value["knn"] > value["best fixed"]  # there is something to know
    assert found["oracle"]["regret_oracle"]["mean"] == 0.0
    assert found["Uniform"]["over_best_fixed"]["mean"] == pytest.approx(value["Uniform"] - value["best fixed"])


def test_files_hold_what_was_said(table: Path, tmp_path: Path) -> None:
    found = told("--data", table, "--policy", "LinTS", "--jobs", 1, "--out", tmp_path / "out")
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "curves.parquet", "report.html", "runs.parquet", "summary.json",
    ]  # fmt: skip
    runs = pq.read_table(tmp_path / "out" / "runs.parquet").to_pylist()
    values = [one["value"] for one in runs if one["policy"] == "LinTS"]
    assert results(found)["LinTS"]["value"]["mean"] == pytest.approx(np.mean(values))
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == found["cases"]
    assert found["manifest"]["tables"]["small"]["prompts"] == 60


def test_the_manifest_knows_whether_the_data_is_the_same(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "small.parquet"
    write_table(other, FullTable.from_arrays(("facts", "code"), np.tile([0.5, 0.6], (60, 1)), prompts=("same",) * 60))
    words = ("--policy", "Uniform", "--jobs", 1, "--cost-weight", 0)
    first, again, changed = (told("--data", one, *words)["manifest"] for one in (table, table, other))
    assert {**first, "made": ""} == {**again, "made": ""}
    assert first["code"] == changed["code"]
    assert first["tables"]["small"]["sha256"] != changed["tables"]["small"]["sha256"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--policy", "LinTX"], "did you mean 'LinTS'?"),
        (["--world", "Thumb"], "Thumb"),
        (["--policy", "LinTS", "--policy", "LinTS"], "policy 'LinTS' is given twice"),
        (["--jobs", "0"], "jobs must be a number of processes"),
        (["--rounds", "3"], "rounds must be at least"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line(table: Path, tmp_path: Path, words: list[str], says: str) -> None:
    done = run("--data", table, "--out", tmp_path / "out", *words)
    assert done.exit_code != 0
    assert says in done.output
    assert "Traceback" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_table_is_named_and_nothing_is_written(table: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(table.read_bytes()[:-20])
    done = run("--data", broken, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "broken.parquet" in done.output
    assert [one.name for one in tmp_path.iterdir()] == ["broken.parquet"]
