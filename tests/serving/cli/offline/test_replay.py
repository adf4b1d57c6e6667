import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from highwayman.env.types import Decision, Feedback, Outcome
from highwayman.feedback.log.events import Event
from highwayman.serving.cli.errors import PlainErrorGroup
from highwayman.serving.cli.offline.evaluate import evaluate
from highwayman.serving.cli.offline.replay import replay
from highwayman.sims.logs.logged_file import LogFile, write_log
from tests.sims.replay.event_logs import archived, events

POOL = """
arms:
  a: {model: a, endpoint: http://localhost:1, usd_per_mtok_in: 1, usd_per_mtok_out: 1, context_window_tokens: 4096}
  b: {model: b, endpoint: http://localhost:2, usd_per_mtok_in: 10, usd_per_mtok_out: 10, context_window_tokens: 4096}
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archived(tmp_path_factory.mktemp("archives") / "archive", events(600))


def run(*words: object) -> Result:
    main = PlainErrorGroup("main")
    main.add_command(replay)
    main.add_command(evaluate)
    return CliRunner().invoke(main, [*map(str, words)])


def told(*words: object) -> dict[str, Any]:
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_another_policy_is_judged_from_what_ran(archive: Path) -> None:
    found = told("replay", "--from", archive, "--policy", "LinTS", "--policy", "Fixed:arm=b")
    lin_ts, fixed = found["answers"]
    assert lin_ts["verdict"] == "earns more"
    assert lin_ts["quality"]["low"] < 0.9 < lin_ts["quality"]["high"] + 0.1  # what it has when it has learned
    assert fixed["verdict"] == "no difference shown"
    assert fixed["shares"]["b"] == pytest.approx(0.99)
    assert found["rounds"] == 600
    assert found["as_it_ran"]["shares"]["a"] == pytest.approx(0.5, abs=0.1)


def test_the_configured_policy_is_asked_where_none_is_given(archive: Path, tmp_path: Path) -> None:
    config = tmp_path / "highwayman.yaml"
    config.write_text("policy: {name: 'Uniform', floor: 0.0}\n")
    found = told("replay", "--from", archive, "--config", config)
    assert [one["policy"] for one in found["answers"]] == ["Uniform"]
    assert found["answers"][0]["gain"]["value"] == pytest.approx(0.0, abs=1e-12)


def test_a_tag_that_is_declared_later_is_unknown_of_what_was_decided_before(archive: Path, tmp_path: Path) -> None:
    config = tmp_path / "highwayman.yaml"
    config.write_text("context: {task: {from: 'metadata:task', levels: [maths, code]}}\n")
    words = ("replay", "--from", archive, "--policy", "LinTS", "--config", config, "--save", tmp_path / "log.parquet")
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "tag task: the log's newest decisions were made without it" in " ".join(done.output.split())
    (chunk,) = LogFile(tmp_path / "log.parquet").chunks()
    assert "/tags-task.3." in chunk.encoder
    assert not chunk.contexts[:, :3].any()


def test_one_arm_fewer_and_another_worth_of_a_dollar_are_what_ifs(archive: Path, tmp_path: Path) -> None:
    without = told("replay", "--from", archive, "--without", "b")
    assert without["answers"][0]["shares"] == {"a": 1.0, "b": 0.0}
    assert without["best_fixed"]["policy"] == "best fixed: a"
    pool = tmp_path / "pool.yaml"
    pool.write_text(POOL)
    for option, value in (("--cost-weight", "500"), ("--points-per-usd", "10_000_000")):
        dear = told("replay", "--from", archive, "--pool", pool, option, value, "--policy", "LinTS", "--floor", "0.02")
        assert dear["answers"][0]["shares"]["a"] == pytest.approx(0.99)
        assert dear["answers"][0]["cost_usd"]["value"] < dear["as_it_ran"]["cost_usd"]["value"]


def test_stored_answers_cost_nothing_in_a_what_if_and_need_no_place_in_the_pool_file(tmp_path: Path) -> None:
    def with_stored(event: Event) -> Event:
        if isinstance(event, Decision):
            return replace(event, arms=("a", "cache"))
        return replace(event, arm="cache") if isinstance(event, Outcome) and event.arm == "b" else event

    logged = list(map(with_stored, events(80)))
    archive, pool, config = archived(tmp_path / "archive", logged), tmp_path / "pool.yaml", tmp_path / "highwayman.yaml"
    pool.write_text("\n".join(POOL.splitlines()[:3]))
    config.write_text("answer_cache: {}\npolicy: {floor: 0.02, floor_loss: null}\n")
    words = ("--pool", pool, "--points-per-usd", "10_000_000", "--policy", "Cheapest", "--config", config)
    found = told("replay", "--from", archive, *words)
    assert found["rounds"] == 80
    assert found["answers"][0]["shares"]["cache"] == pytest.approx(0.99)


def test_the_rounds_can_be_saved_and_evaluated_again(archive: Path, tmp_path: Path) -> None:
    log, report = tmp_path / "log.parquet", tmp_path / "report.html"
    saved = told("replay", "--from", archive, "--policy", "LinTS", "--save", log, "--report", report)
    assert LogFile(log).count() == 600
    assert "<svg" in report.read_text(encoding="utf-8")
    again = told("evaluate", log, "--policy", "LinTS")
    assert again["answers"][0]["verdict"] == "earns more"
    assert again["answers"][0]["quality"]["value"] == pytest.approx(saved["answers"][0]["quality"]["value"])


def test_an_anytime_valid_answer_is_one_flag_away(archive: Path) -> None:
    usual = told("replay", "--from", archive, "--policy", "LinTS")["answers"][0]
    found = told("replay", "--from", archive, "--policy", "LinTS", "--anytime")
    gain = found["answers"][0]["gain"]
    assert found["manifest"]["method"] == {"estimator": "IPS", "interval": "ConfidenceSequence"}
    assert gain["low"] < usual["gain"]["low"]
    assert gain["high"] > usual["gain"]["high"]


def test_answers_on_a_terminal_fit_eighty_columns(archive: Path) -> None:
    done = run("replay", "--from", archive, "--policy", "LinTS", "--policy", "Fixed:arm=b")
    assert done.exit_code == 0
    assert "archive: 600 rounds" in done.stdout
    rows = [line.strip() for line in done.stdout.splitlines()]
    head = next(number for number, row in enumerate(rows) if "──" in row)
    assert rows[head + 1].startswith("best fixed: "), "the best fixed arm stands first"
    assert any(row.startswith("as it ran") for row in rows[head + 2 :])
    assert "picked among the arms by these same numbers" in " ".join(done.stdout.split())
    assert "earns more" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_no_letter_is_lost_on_eighty_columns_however_long_a_name_is(archive: Path) -> None:
    long = "highwayman.bandit.policies.lin_ucb:LinUCB:alpha=0.25,noise_variance=0.05"
    done = run("replay", "--from", archive, "--policy", long, "--policy", "Fixed:arm=b")
    assert max(map(len, done.stdout.splitlines())) <= 80
    lines = done.stdout.splitlines()
    head = next(number for number, line in enumerate(lines) if "verdict" in line)
    body = lines[head + 2 : next(number for number, line in enumerate(lines) if number > head and not line.strip())]
    at = lines[head].index("verdict")
    assert long in "".join(line[:24].strip() for line in body)
    words = " ".join(line[at:].strip() for line in body).split()
    assert set(words) <= {"earns", "more", "less", "no", "difference", "shown", "the", "log", "cannot", "tell"}


def test_the_name_of_a_policy_is_not_broken_on_a_terminal(archive: Path) -> None:
    done = run("replay", "--from", archive, "--policy", "LinUCB:alpha=0.25", "--policy", "Fixed:arm=b")
    assert "LinUCB:alpha=0.25" in done.stdout.split()
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_without_feedback_the_log_cannot_tell_and_says_so(tmp_path: Path) -> None:
    silent = archived(tmp_path / "silent", events(50, said=0.0))
    found = told("replay", "--from", silent, "--policy", "LinTS")
    assert found["answers"][0]["verdict"] == "the log cannot tell"
    assert found["answers"][0]["gain"]["refused"] == ["the log holds no round with a reward"]
    assert found["best_fixed"] is None
    assert "the log can tell of no arm" in run("replay", "--from", silent, "--policy", "LinTS").stdout
    assert found["answers"][0]["cost_usd"]["value"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--without", "c"], "--without c: the log's arms are a, b"),
        (["--cost-weight", "1"], "--cost-weight needs prices: give the pool file, too (--pool)"),
        (["--points-per-usd", "1"], "--points-per-usd needs prices: give the pool file, too (--pool)"),
        (["--points-per-usd", "1", "--cost-weight", "1"], "--points-per-usd and --cost-weight: give one of them"),
        (["--policy", "LinTX"], "did you mean 'LinTS'?"),
        (["--policy", "LinTS", "--policy", "LinTS"], "policy 'LinTS' is given twice"),
        (["--estimator", "SNIP"], "did you mean 'SNIPS'?"),
        (["--interval", "Gauss"], "unknown interval 'Gauss'"),
        (["--anytime", "--estimator", "SwitchDR"], "--anytime is IPS with ConfidenceSequence"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(archive: Path, tmp_path: Path, words: list[str], says: str) -> None:
    done = run("replay", "--from", archive, *words, "--save", tmp_path / "log.parquet")
    assert done.exit_code == 1
    assert says in done.output
    assert "Traceback" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_no_log_of_this_router_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no part of a log" in run("replay", "--from", tmp_path / "empty").output
    other = archived(tmp_path / "other", events(4), namespace="other")
    assert "namespace 'other'" in run("replay", "--from", other).output


def test_a_damaged_part_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    folder = archived(tmp_path / "archive", events(20))
    part = sorted(folder.glob("*.parquet"))[1]
    part.write_bytes(part.read_bytes()[:-10])
    done = run("replay", "--from", folder, "--report", tmp_path / "report.html")
    assert done.exit_code == 1
    assert part.name in done.output
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("command", ["replay", "evaluate"])
def test_without_scipy_the_command_says_what_to_install_before_it_reads(
    command: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    log = tmp_path / "log.parquet"
    log.write_bytes(b"no log: it is not looked at")
    done = run("replay", "--from", archive) if command == "replay" else run("evaluate", log)
    assert done.exit_code == 1
    assert "pip install 'highwayman[sims]'" in done.output.replace("\n", " ")
    assert "Traceback" not in done.output


def test_a_damaged_log_is_named(archive: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.parquet"
    told("replay", "--from", archive, "--save", log)
    log.write_bytes(log.read_bytes()[:-10])
    done = run("evaluate", log)
    assert done.exit_code == 1
    assert "log.parquet" in done.output


def test_rounds_without_exploration_are_left_out_and_said_alike_in_both_commands(tmp_path: Path) -> None:
    """Arm a earns .5 more on one kind of question; in the tool loops the router took arm b for sure."""
    loops = events(400, seed=1, probs=(0.0, 1.0))
    explored = [replace(event, **_renamed(event)) for event in events(400, seed=2)]
    mixed = archived(tmp_path / "mixed", [*loops, *explored])
    whole = archived(tmp_path / "whole", explored)
    asked = "--policy", "Fixed:arm=a", "--floor", "0", "--reward", "quality"
    found, wanted = told("replay", "--from", mixed, *asked), told("replay", "--from", whole, *asked)
    assert (found["rounds"], wanted["rounds"]) == (400, 400)
    assert found["answers"][0]["gain"] == wanted["answers"][0]["gain"]
    assert any("400 without exploration" in reason for reason in found["left_out"])
    log = tmp_path / "log.parquet"
    told("replay", "--from", whole, "--policy", "Fixed:arm=a", "--save", log)
    rounds = LogFile(log).read()
    certain = replace(rounds, actions=rounds.actions * 0 + 1, propensities=np.ones(rounds.n))
    for eligible in (rounds.eligible, np.tile([False, True], (rounds.n, 1))):
        write_log(log, [replace(certain, eligible=eligible), rounds])
        found = told("evaluate", log, *asked)
        assert found["rounds"] == 400
        assert found["answers"][0]["gain"] == wanted["answers"][0]["gain"]
        assert any("400 without exploration" in reason for reason in found["left_out"])
    write_log(log, [certain])
    refused = run("evaluate", log, *asked)
    assert refused.exit_code == 1
    assert "holds no round that can be used: 400 without exploration" in refused.output


def _renamed(event: Event) -> dict[str, str]:
    """Return the ids of an event under other names, so that two logs make one."""
    if isinstance(event, Decision):
        return {"id": f"x{event.id}"}
    assert isinstance(event, Outcome | Feedback)
    return {"decision_id": f"x{event.decision_id}", **({"id": f"x{event.id}"} if isinstance(event, Feedback) else {})}


def test_a_log_in_dsjson_is_evaluated(tmp_path: Path) -> None:
    """Topics drawn 4 to 1; the rarer one is right .9 of the time, the other .5, half of whose failures are dropped."""
    rng, log = np.random.default_rng(0), tmp_path / "log.dsjson"
    lines, kept = [], list[tuple[int, bool, float]]()
    for number in range(3000):
        arm = int(rng.random() < 0.8)
        good = bool(rng.random() < (0.9, 0.5)[arm])
        pdrop = 0.5 if arm == 1 and not good else 0.0
        if rng.random() < pdrop:
            continue
        kept.append((arm, good, 1 / (1 - pdrop)))
        lines.append(json.dumps({
            "_label_cost": -float(good), "_label_probability": (0.2, 0.8)[arm], "_label_Action": arm + 1,
            "_labelIndex": arm, "EventId": str(number), "Timestamp": "2026-01-01T00:00:00.0000000Z",
            "a": [1, 2] if arm == 0 else [2, 1], "p": [0.2, 0.8] if arm == 0 else [0.8, 0.2], "pdrop": pdrop,
            "c": {"User": {"x": number % 3}, "_multi": [{"_tag": "rare"}, {"_tag": "usual"}]},
        }))  # fmt: skip
    log.write_text("\n".join(lines))
    found = told("evaluate", log, "--policy", "Fixed:arm=rare", "--policy", "Fixed:arm=usual", "--floor", "0")
    rare, usual = found["answers"]
    arms, goods, weights = map(np.array, zip(*kept, strict=True))
    for number, answer in enumerate((rare, usual)):
        mean = np.average(goods[arms == number], weights=weights[arms == number])
        assert answer["quality"]["value"] == pytest.approx(mean)
        assert answer["quality"]["low"] < mean < answer["quality"]["high"]
    assert found["as_it_ran"]["quality"]["value"] == pytest.approx(np.average(goods, weights=weights))
    assert usual["quality"]["value"] < 0.55, "without pdrop it would be .67"
    assert rare["verdict"] == "earns more"


def test_what_selective_thumbs_do_is_said_where_not_every_round_is_rated(archive: Path, tmp_path: Path) -> None:
    some = archived(tmp_path / "some", events(300, said=0.5))
    says = "Where bad answers are rated more often than good ones"
    assert says in " ".join(run("replay", "--from", some, "--policy", "LinTS").output.split())
    assert says not in " ".join(run("replay", "--from", archive, "--policy", "LinTS").output.split())
