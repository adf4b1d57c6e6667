import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from highwayman.sims.logs.dsjson_file import DsjsonLog
from highwayman.sims.logs.logged import LogError, LoggedData

PERSONALIZER: dict[str, Any] = {  # as Azure Personalizer exports it
    "_label_cost": -1.0, "_label_probability": 0.05000000074505806, "_label_Action": 4, "_labelIndex": 3,
    "o": [{"v": 1.0, "EventId": "13118d9b", "ActionTaken": False}],
    "Timestamp": "2021-02-04T16:31:29.2460000Z", "Version": "1", "EventId": "13118d9b", "a": [4, 2, 1, 3],
    "c": {
        "FromUrl": [{"timeofday": "Afternoon", "weather": "Sunny", "name": "Cathy"}],
        "_multi": [
            {"_tag": "Cappucino", "i": {"constant": 1, "id": "Cappucino"}, "j": [{"type": "hot"}]},
            {"_tag": "Cold brew", "i": {"constant": 1, "id": "Cold brew"}, "j": [{"type": "cold"}]},
            {"_tag": "Iced mocha", "i": {"constant": 1, "id": "Iced mocha"}, "j": [{"type": "cold"}]},
            {"_tag": "Latte", "i": {"constant": 1, "id": "Latte"}, "j": [{"type": "hot"}]},
        ],
    },
    "p": [0.05, 0.05, 0.05, 0.85], "VWState": {"m": "ff0744c1/550c12cb"},
}  # fmt: skip
RL_CLIENT: dict[str, Any] = {  # as RL Client's converter writes it: half of the events were dropped
    "_label_cost": -0.5, "_label_probability": 0.1, "_label_Action": 1, "_labelIndex": 0, "o": [],
    "Timestamp": "2019-11-12T14:22:37.229000Z", "Version": "1", "EventId": "f5e774da", "a": [1, 2],
    "c": {"GUser": {"id": "rnc", "age": 37}, "_multi": [
        {"TAction": {"topic": "HerbGarden"}}, {"TAction": {"topic": "MachineLearning"}}]},
    "p": [0.2, 0.8], "VWState": {"m": "N/A"}, "_original_label_cost": -0.5,
}  # fmt: skip


def written(path: Path, *events: Any) -> DsjsonLog:
    lines = "".join(f"{event if isinstance(event, str) else json.dumps(event)}\n" for event in events)
    path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    assert DsjsonLog.fits(path)
    return DsjsonLog(path)


def whole(log: DsjsonLog) -> LoggedData:
    return LoggedData.joined(list(log.chunks()))


@pytest.mark.parametrize("name", ["log.dsjson", "log.json", "log.json.gz"])
def test_an_event_of_personalizers_is_a_round(tmp_path: Path, name: str) -> None:
    log = written(tmp_path / name, PERSONALIZER)
    rounds = whole(log)
    assert rounds.arms == ("Cappucino", "Cold brew", "Iced mocha", "Latte")
    assert (rounds.actions.tolist(), rounds.propensities.tolist()) == ([3], [0.05])
    assert rounds.rewards.tolist() == [1.0], "a cost with the other sign"
    assert rounds.eligible.all()
    assert rounds.at.tolist() == [1612456289.246]
    assert rounds.kept.tolist() == [1.0]
    assert (rounds.d, rounds.contexts[0, -1]) == (64, 1.0)
    assert np.abs(rounds.contexts[0, :-1]).sum() == 3.0, "three features of the shared context"
    assert log.notes() == []


def test_probabilities_are_in_the_order_of_the_ranking_and_an_arm_of_none_was_not_eligible(tmp_path: Path) -> None:
    event = {**PERSONALIZER, "p": [0.5, 0.3, 0.2, 0.0], "_label_probability": 0.3, "_label_Action": 2, "_labelIndex": 1}
    rounds = whole(written(tmp_path / "log.dsjson", event))
    assert rounds.propensities.tolist() == [0.3]
    assert rounds.eligible.tolist() == [[True, True, False, True]]
    from_zero = {**event, "a": [3, 1, 0, 2]}
    assert whole(written(tmp_path / "log.dsjson", from_zero)).eligible.tolist() == [[True, True, False, True]]


def test_what_was_dropped_is_counted_for_by_what_was_kept_however_it_is_told(tmp_path: Path) -> None:
    told = {**RL_CLIENT, "pdrop": 0.5, "_label_probability": 0.2}
    both = {**RL_CLIENT, "pdrop": 0.5}
    rounds = whole(written(tmp_path / "log.dsjson", RL_CLIENT, told, both))
    assert rounds.propensities.tolist() == [0.2] * 3
    assert rounds.learning_weights().tolist() == pytest.approx([2.0] * 3)
    assert rounds.arms == ("topic=HerbGarden", "topic=MachineLearning")
    assert rounds.rewards.tolist() == [0.5] * 3


def test_lines_that_are_no_rounds_are_left_out_and_counted(tmp_path: Path) -> None:
    reward_alone = {"RewardValue": 1.0, "EventId": "x", "Timestamp": "2021-02-04T16:31:29Z"}
    not_activated = {**PERSONALIZER, "_skipLearn": True}
    log = written(tmp_path / "log.json", PERSONALIZER, "", reward_alone, not_activated, "[CHECKPOINT INFO LINE]")
    assert whole(log).n == 1
    assert sorted(log.left_out.values()) == [1, 1, 1]
    assert any("skipLearn" in why for why in log.left_out)


def test_an_event_nobody_has_said_anything_of_yet_has_no_reward(tmp_path: Path) -> None:
    names = ("_label_cost", "_label_probability", "_label_Action", "_labelIndex")
    rounds = whole(written(tmp_path / "log.json", {k: v for k, v in PERSONALIZER.items() if k not in names}))
    assert np.isnan(rounds.rewards[0])
    assert (rounds.actions.tolist(), rounds.propensities.tolist()) == ([3], [0.05])


def test_rewards_beyond_zero_and_one_are_scaled_and_said(tmp_path: Path) -> None:
    log = written(tmp_path / "log.json", *({**PERSONALIZER, "_label_cost": cost} for cost in (-1.0, 0.0, 1.0, 0.5)))
    assert whole(log).rewards.tolist() == [1.0, 0.5, 0.0, 0.25]
    assert log.notes() == ["rewards, which are costs with the other sign, go from -1 to 1: they are taken for 0 to 1"]


def test_actions_without_names_that_tell_them_apart_go_by_their_positions(tmp_path: Path) -> None:
    alike = {**RL_CLIENT, "c": {"_multi": [{"x": {}}, {"x": {}}]}}
    log = written(tmp_path / "log.json", alike, RL_CLIENT)
    assert whole(log).arms == ("1", "2")
    assert any("positions" in note for note in log.notes())


def test_files_of_a_folder_are_one_log_and_parquet_goes_first(tmp_path: Path) -> None:
    written(tmp_path / "b.json", RL_CLIENT)
    written(tmp_path / "a.json.gz", PERSONALIZER)
    (tmp_path / "notes.txt").write_text("no log")
    assert DsjsonLog.fits(tmp_path)
    log = DsjsonLog(tmp_path)
    assert [path.name for path in log.files()] == ["a.json.gz", "b.json"]
    assert len(whole(log).arms) == 6
    (tmp_path / "log.parquet").touch()
    assert not DsjsonLog.fits(tmp_path)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ('{"_label_cost": 1', "line 2: "),
        ({**PERSONALIZER, "c": {"_multi": [{}], "_slots": [{}]}}, "line 2: decides several slots at once"),
        ({**PERSONALIZER, "c": {}}, "line 2: has no actions"),
        ({**PERSONALIZER, "_labelIndex": 4}, "line 2: the action taken is number 5 of 4"),
        ({**PERSONALIZER, "p": [1.0]}, "line 2: p has 1 numbers, a has 4"),
        ({**PERSONALIZER, "a": [5, 2, 1, 3]}, "line 2: a must number each of 4 actions once"),
        ({**PERSONALIZER, "_label_probability": 0.5}, r"line 2: _label_probability is 0.5, p says 0.05"),
        ({**PERSONALIZER, "pdrop": 1.0}, r"line 2: pdrop must be in \[0, 1\)"),
        ({**PERSONALIZER, "p": [0.0, 0.1, 0.1, 0.8], "_label_probability": 0.0}, "line 2: propensity is 0"),
        ({**PERSONALIZER, "Timestamp": "yesterday"}, "line 2: Invalid isoformat"),
    ],
)
def test_a_line_that_cannot_be_is_named(tmp_path: Path, event: Any, message: str) -> None:
    with pytest.raises(LogError, match=rf"log\.json: {message}"):
        whole(written(tmp_path / "log.json", PERSONALIZER, event))
