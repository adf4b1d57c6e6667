"""The journal continues a run that was cut off, and refuses to mix two."""

from pathlib import Path

import pytest

from highwayman.demo.play import compared_rounds, last_third
from highwayman.demo.rounds import OtherRun, Round, RunSettings, Served, open_rounds

SETTINGS = RunSettings(seed=1, rounds=60, arms=("a", "b"))


def a_round(index: int) -> Round:
    served = Served("a", 1.0, 2e-6, 0.3, "“yes”")
    return Round(index, "facts", "p", "x", f"hw-{index}", 0.5, served, {"a": served})


def test_a_second_run_finds_what_the_first_one_did(tmp_path: Path) -> None:
    path = tmp_path / "out" / "seed-1.jsonl"
    first = open_rounds(path, SETTINGS, fresh=False)
    first.add(a_round(1))
    first.add(a_round(0))
    again = open_rounds(path, SETTINGS, fresh=False)
    assert again.rounds == [a_round(0), a_round(1)]
    assert again.has(1)
    assert not again.has(2)


def test_half_a_line_is_dropped_and_its_round_played_again(tmp_path: Path) -> None:
    path = tmp_path / "seed-1.jsonl"
    open_rounds(path, SETTINGS, fresh=False).add(a_round(0))
    with path.open("a") as file:
        file.write('{"index": 1, "kind"')
    continued = open_rounds(path, SETTINGS, fresh=False)
    continued.add(a_round(2))
    assert [one.index for one in open_rounds(path, SETTINGS, fresh=False).rounds] == [0, 2]


def test_other_settings_are_refused_unless_fresh(tmp_path: Path) -> None:
    path = tmp_path / "seed-1.jsonl"
    open_rounds(path, SETTINGS, fresh=False).add(a_round(0))
    other = RunSettings(seed=1, rounds=90, arms=("a", "b"))
    with pytest.raises(OtherRun, match=r"a run of 60 prompts, seed 1, arms a, b; this one is of 90 prompts.*--fresh"):
        open_rounds(path, other, fresh=False)
    assert open_rounds(path, other, fresh=True).rounds == []


def test_all_of_the_last_third_is_compared_and_a_fifth_of_the_rest() -> None:
    settings = RunSettings(seed=1, rounds=450, arms=("a",))
    compared = compared_rounds(settings)
    start = last_third(450)
    assert start == 300
    assert compared >= set(range(start, 450))
    assert len(compared) == 150 + 60
    assert compared_rounds(settings) == compared
    assert compared_rounds(RunSettings(seed=2, rounds=450, arms=("a",))) != compared
