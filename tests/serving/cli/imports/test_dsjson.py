import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from highwayman.serving.cli.main import main
from highwayman.sims.logs.logged_file import LogFile


def event(number: int, action: int) -> dict[str, Any]:
    """Return an event of the decision service over two actions, in the shape of the format's own page."""
    return {
        "_label_cost": -1.0 if action == 1 else 0.0, "_label_probability": 0.5, "_label_Action": action,
        "_labelIndex": action - 1, "Timestamp": f"2026-01-01T00:00:{number:02}Z", "EventId": str(number),
        "a": [1, 2], "p": [0.5, 0.5],
        "c": {"User": {"tier": "gold"}, "_multi": [{"A": {"id": "small"}}, {"A": {"id": "large"}}]},
    }  # fmt: skip


def test_a_log_of_the_decision_service_is_a_bandit_log_that_evaluate_takes(tmp_path: Path) -> None:
    log, out = tmp_path / "log.dsjson", tmp_path / "log.parquet"
    skipped = {**event(59, 1), "_skipLearn": True}
    log.write_text("".join(f"{json.dumps(line)}\n" for line in [*(event(n, 1 + n % 2) for n in range(50)), skipped]))
    result = CliRunner().invoke(main, ["import", "dsjson", str(log), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "50 rounds" in result.stdout
    assert "1 lines with skipLearn" in result.stdout
    rounds = LogFile(out).read()
    assert (rounds.arms, rounds.propensities[0], rounds.rewards[:2].tolist()) == (("small", "large"), 0.5, [1.0, 0.0])
    evaluated = CliRunner().invoke(main, ["evaluate", str(out), "--policy", "Fixed:arm=small", "--json"])
    assert evaluated.exit_code == 0, evaluated.output


def test_a_file_that_is_there_is_replaced_only_by_force_and_one_of_another_kind_is_refused(tmp_path: Path) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "log.parquet"
    log.write_text(json.dumps(event(1, 1)))
    out.write_bytes(b"mine")
    refused = CliRunner().invoke(main, ["import", "dsjson", str(log), "--out", str(out)])
    assert "give --force" in refused.output
    assert out.read_bytes() == b"mine"
    other = CliRunner().invoke(main, ["import", "dsjson", str(out), "--out", str(tmp_path / "new.parquet")])
    assert "is no log in dsjson by its name" in other.output
