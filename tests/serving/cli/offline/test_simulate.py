import json
import os
import shlex
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from highwayman.serving.cli.errors import PlainErrorGroup
from highwayman.serving.cli.offline import simulate as cli_simulate
from highwayman.serving.cli.offline.simulate import simulate
from highwayman.sims.sweeps.results_file import read_results
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import write_table
from tests.sims.sweeps.small import Letters, table

ENCODER = f"{Letters.__module__}:{Letters.__name__}"
FEW = ("--seeds", 2, "--rounds", 80, "--frozen-for", 10, "--jobs", 1, "--encoder", ENCODER)
QUICK = ("--baseline", "random", "--baseline", "cheapest")
ALL = ["curves.parquet", "report.html", "runs.parquet", "summary.json"]


def run(*words: object) -> Result:
    main = PlainErrorGroup("main")
    main.add_command(simulate)
    return CliRunner().invoke(main, ["simulate", *map(str, words)])


def told(*words: object) -> dict[str, Any]:
    done = run(*FEW, *words, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., Path]:
    """Write a table, and return its path."""

    def written(made: FullTable | None = None, name: str = "answers.parquet") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, table() if made is None else made)
        return path

    return written


def test_a_policy_with_a_cascade_stands_beside_the_policy_alone(kept: Callable[..., Path]) -> None:
    words = ("--data", kept(), *QUICK, "--policy", "LinTS", "--world", "Confidence:separation=3")
    (case,) = told(*words, "--cascade", "learned")["cases"]
    assert {"LinTS", "LinTS | cascade learned"} <= {row["name"] for row in case["results"]}
    refused = run(*FEW, *words, "--cascade", "learnt")
    assert refused.exit_code == 1
    assert "did you mean 'learned'" in refused.output


def test_results_a_report_and_a_summary_are_written(kept: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    found = told("--data", kept(), "--out", out, "--cost-weight", 0.1, "--cost-weight", 0.5)
    assert sorted(path.name for path in out.iterdir()) == ALL
    assert "<svg" in (out / "report.html").read_text(encoding="utf-8")
    assert json.loads((out / "summary.json").read_text()) == found["cases"]
    results = read_results(out)
    assert results.manifest == found["manifest"]
    assert {one.cost_weight for one in results.frontier} == {0.1, 0.5}
    (case,) = found["cases"]
    rows = {row["name"]: row for row in case["results"]}
    assert (case["table"], case["world"], case["arms"]) == ("answers", "calm", ["small", "middle", "large"])
    assert set(rows) == {"HierTS", "random", "cheapest", "best fixed", "static mixture", "task mean", "knn", "ridge",
                         "oracle"}  # fmt: skip
    assert rows["HierTS"]["aiq"] > 0
    assert rows["oracle"]["value"]["mean"] == np.mean([run.value for run in results.runs if run.policy == "oracle"])


def test_the_dial_is_set_in_points_per_dollar_and_swept_over_the_tables_useful_range(
    kept: Callable[..., Path], tmp_path: Path
) -> None:
    words = ("--points-per-usd", 500, "--dial", 3, "--baseline", "random", "--policy", "Uniform")
    found = told("--data", kept(), "--out", tmp_path / "out", *words)
    rates = [one.points_per_usd for one in read_results(tmp_path / "out").frontier]
    assert rates[:2] == [500.0, 0.0]
    assert 0 < rates[2] < rates[3]
    assert "aiq" in found["cases"][0]["results"][0]


def test_whoever_may_read_the_folder_may_read_the_results(kept: Callable[..., Path], tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        told("--data", kept(), "--out", tmp_path / "out", *QUICK)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert modes == dict.fromkeys(ALL, 0o644)


def test_the_same_command_finds_the_same(kept: Callable[..., Path]) -> None:
    words = ("--data", kept(), "--policy", "LinTS", "--policy", "Uniform", "--world", "Thumbs:rate=0.5", *QUICK)
    first, again = told(*words), told(*words, "--jobs", 2)
    assert first["cases"] == again["cases"]
    for one in (first, again):
        one["manifest"].pop("made")
    assert first["manifest"] == again["manifest"]
    plan = first["manifest"]["plan"]
    assert (plan["policies"], plan["worlds"], plan["seeds"]) == (["LinTS", "Uniform"], ["Thumbs:rate=0.5"], 2)


def test_the_manifest_has_the_command_and_the_files_names(
    kept: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["simulate", "--data", str(kept(name="my answers.parquet"))]
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/highwayman", *words])
    found = told(*words[1:], *QUICK)["manifest"]
    assert found["command"] == shlex.join(["highwayman", *words])
    assert found["tables"]["my answers"]["source"] == "my answers.parquet"


def test_tables_of_one_name_are_told_apart(kept: Callable[..., Path]) -> None:
    paths = [kept(name=f"{folder}/t.parquet") for folder in "abc"] + [kept(name="a/t (2).parquet")]
    found = told(*(word for path in paths for word in ("--data", path)), "--seeds", 1, *QUICK)
    assert [case["table"] for case in found["cases"]] == ["t", "t (2)", "t (3)", "t (2) (2)"]


@pytest.mark.parametrize("columns", [80, 120])
def test_standings_on_a_terminal_fit_its_width(
    kept: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    policies = ("--policy", "LinTS", "--policy", "LinUCB:alpha=0.25,noise_variance=0.05")
    done = run("--data", kept(), *FEW, *policies, "--world", "calm", "--world", "Delay:mean_s=5")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert "answers, calm: means over 2 seeds of 80 rounds, ± 95%" in lines
    assert "answers, Delay:mean_s=5: means over 2 seeds of 80 rounds, ± 95%" in lines
    assert sum(line.startswith("Routing ") for line in lines) == 2
    (head, _) = (line.split() for line in lines if "over best fixed" in line)
    assert head == ["value", "over", "best", "fixed", "last", "quarter", "quality", "$", "per", "1k"]
    oracle = next(line for line in lines if line.strip().startswith("oracle"))
    assert oracle.count("±") == 2  # whole, in one line
    best = next(line for line in lines if line.strip().startswith("best fixed"))
    assert best.count("–") == 2
    first = lines.index("answers, calm: means over 2 seeds of 80 rounds, ± 95%") + 4
    assert lines[first] == best, "the best fixed arm stands first"
    assert "best fixed: large" in " ".join(line.split("  ")[0].strip() for line in lines[first : first + 2])


def test_without_prices_value_is_quality_and_that_is_said(kept: Callable[..., Path]) -> None:
    done = run("--data", kept(table(priced=False, tasks=False)), *FEW)
    assert done.exit_code == 0, done.output
    assert "answers: no arm has a cost for every prompt, so value is quality alone" in done.stderr
    assert "answers: no baseline cheapest: " in done.stderr
    assert "answers: no baseline task mean: " in done.stderr
    assert "$" not in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--policy", "LinTX"], "unknown policy 'LinTX' (did you mean 'LinTS'?)"),
        (["--policy", "LinTS:explore=1"], "unknown option 'explore' (did you mean 'exploration'?)"),
        (["--policy", "LinTS", "--policy", "LinTS"], "policy 'LinTS' is given twice"),
        (["--world", "Thumb"], "unknown world 'Thumb' (did you mean 'Thumbs'?)"),
        (["--world", "ArmRemoved:arm=nosuch"], "unknown arm 'nosuch': arms are small, middle, large"),
        (["--baseline", "best"], "no baseline 'best': give one of best_fixed"),
        (["--rounds", "39"], "rounds must be at least 40"),
        (["--cost-weight", "nan"], "a cost weight must be a number >= 0, got nan"),
        (["--jobs", "0"], "jobs must be a number of processes"),
        (["--encoder", "statik"], "unknown encoder 'statik'"),
        (
            ["--format", "short"],
            "format must be one of long, llmrouterbench, pareto, routellm, routerarena, routerbench, routereval, "
            "got 'short'",
        ),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line_and_nothing_is_written(
    kept: Callable[..., Path], tmp_path: Path, words: list[str], says: str
) -> None:
    done = run("--data", kept(), *FEW, *QUICK, "--out", tmp_path / "out", *words)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert says in done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


def broken(path: Path, what: str) -> Path:
    """Make the table at `path` one that cannot be used."""
    found = pq.read_table(path)
    if what == "truncated":
        path.write_bytes(path.read_bytes()[:-30])
    elif what == "missing":
        path.unlink()
    elif what == "a column less":
        pq.write_table(found.drop_columns("model"), path)
    else:
        quality = found["quality"].to_numpy().copy()
        quality[7] = {"NaN": np.nan, "too good": 1.5}[what]
        pq.write_table(found.set_column(found.column_names.index("quality"), "quality", pa.array(quality)), path)
    return path


@pytest.mark.parametrize(
    ("what", "says", "code"),
    [
        ("missing", "answers.parquet' does not exist", 2),
        ("truncated", "answers.parquet: ", 1),
        ("NaN", "answers.parquet: row 7: quality must be a number in [0, 1], got nan", 1),
        ("too good", "answers.parquet: row 7: quality must be a number in [0, 1], got 1.5", 1),
        ("a column less", "fit no format:", 1),
    ],
)
def test_a_table_that_cannot_be_used_is_named(
    kept: Callable[..., Path], tmp_path: Path, what: str, says: str, code: int
) -> None:
    done = run("--data", broken(kept(), what), *FEW, "--out", tmp_path / "out")
    assert done.exit_code == code
    assert says in done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


def test_a_cost_weight_that_was_asked_for_needs_costs(kept: Callable[..., Path], tmp_path: Path) -> None:
    path = kept(table(priced=False))
    done = run("--data", path, *FEW, *QUICK, "--cost-weight", 0.3, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert f"{path}: no arm has a cost for every prompt, so --cost-weight can only be 0" in done.output
    assert run("--data", path, *FEW, *QUICK, "--cost-weight", 0).exit_code == 0
    assert run("--data", kept(), *FEW, *QUICK, "--cost-weight", 0.3).exit_code == 0


def test_a_table_given_twice_is_refused(kept: Callable[..., Path]) -> None:
    path = kept()
    done = run("--data", path, "--data", path.parent / "." / path.name, *FEW)
    assert (done.exit_code, "is given twice" in done.output) == (1, True)


def test_a_folder_for_results_that_is_a_file_or_in_one_is_refused_before_anything_runs(
    kept: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept()
    monkeypatch.setattr(cli_simulate, "read_table", None)  # would fail if it came so far
    file, inside = (run("--data", path, *FEW, "--out", out) for out in (path, path / "in" / "it"))
    assert (file.exit_code, inside.exit_code) == (2, 1)
    assert "is a file" in file.output
    assert f"{path} is no folder that can be written to" in inside.output


@pytest.mark.parametrize("missing", ["ray", "joblib", "scipy.special"])
def test_a_library_that_is_missing_is_named_before_anything_runs(
    kept: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    path = kept()
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(cli_simulate, "read_table", None)
    words = [word for word in FEW if word not in ("--jobs", 1)] + (["--ray", "auto"] if missing == "ray" else [])
    done = run("--data", path, *words, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert missing in done.output
    assert "pip install" in done.output
    assert not (tmp_path / "out").exists()


def test_an_interrupt_leaves_what_was_there_and_nothing_new(
    kept: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, old, new = kept(), tmp_path / "old", tmp_path / "new"
    told("--data", path, *QUICK, "--out", old)
    before = {one.name: one.read_bytes() for one in old.iterdir()}
    sweep = cli_simulate.sweep

    def interrupted(*given: Any, **how: Any) -> None:
        def progress(done: int, total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        sweep(*given, **{**how, "progress": progress})

    monkeypatch.setattr(cli_simulate, "sweep", interrupted)
    for out in (old, new):
        done = run("--data", path, *FEW, *QUICK, "--out", out)
        assert done.exit_code == 1
        assert done.output.strip() == "Aborted!"
    assert {one.name: one.read_bytes() for one in old.iterdir()} == before
    assert not new.exists()


def test_names_with_brackets_are_shown_as_they_are(kept: Callable[..., Path], tmp_path: Path) -> None:
    odd = replace(table(), arms=("[red]small[/]", "[red]middle[/]", "[red]large[/]"))
    done = run("--data", kept(odd, "[/a].parquet"), *FEW, *QUICK, "--out", tmp_path / "[out]")
    assert done.exit_code == 0, done.output
    assert f"results and report.html are in {tmp_path / '[out]'}" in done.stderr
    assert "a], calm: means" in done.stdout
    assert "the best fixed arm ([red]" in done.stdout.replace("\n", " ")


def test_a_routers_own_configuration_can_be_simulated(kept: Callable[..., Path], tmp_path: Path) -> None:
    config = tmp_path / "highwayman.yaml"
    config.write_text("policy: {floor: 0.3}\nexploration: {regret_per_request: 0.0}\ntrial: {share: 0.4}\n")
    plan = told("--data", kept(), *QUICK, "--config", config, "--min-quality", 0.1)["manifest"]["plan"]
    assert plan["floor"] == 0.3
    router = plan["router"]
    assert (router["exploration_regret_per_request"], router["quota"]["share"]) == (0.0, 0.4)
    assert (router["min_quality"], router["probation"]) == (0.1, [])


def test_a_configurations_tags_are_the_tables_columns(kept: Callable[..., Path], tmp_path: Path) -> None:
    config = tmp_path / "highwayman.yaml"
    config.write_text("context: {app: {from: app}, task: {from: 'metadata:kind', levels: [cats, code]}}\n")
    labelled = replace(table(), labels={"app": ("mail", "", "editor") * 20})
    path = kept(labelled)
    found = told("--data", path, *QUICK, "--config", config)["manifest"]
    assert "/tags-app.4+task.3." in found["encoder"]
    assert found["tables"]["answers"]["sha256"] == labelled.fingerprint()
    config.write_text("context: {mood: {from: 'header:x-mood'}}\n")
    done = run(*FEW, "--data", path, "--config", config)
    assert done.exit_code == 1
    assert f"{path}: has no column 'mood' that tells prompts apart; it has columns dataset," in done.output


def test_an_arm_on_probation_must_be_one_of_the_tables(kept: Callable[..., Path]) -> None:
    arm = table().arms[0]
    assert told("--data", kept(), *QUICK, "--probation", arm)["manifest"]["plan"]["router"]["probation"] == [arm]
    done = run(*FEW, "--data", kept(), "--probation", "nobody")
    assert done.exit_code == 1
    assert "no arm 'nobody' to be on probation; arms are" in done.output
