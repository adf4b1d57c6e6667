import pytest

from highwayman.sims.simulation.scenario import WorldError
from highwayman.sims.simulation.world_spec import parse_world, shipped_worlds
from highwayman.sims.simulation.worlds.arm_removed import ArmRemoved
from highwayman.sims.simulation.worlds.budget import Budget
from highwayman.sims.simulation.worlds.delay import Delay
from highwayman.sims.simulation.worlds.judge import Judge
from highwayman.sims.simulation.worlds.missing import Missing
from highwayman.sims.simulation.worlds.thumbs import Thumbs
from tests.sims.simulation.courses import course


def test_calm_is_no_world() -> None:
    assert parse_world("calm") == []


def test_worlds_are_joined_by_a_plus() -> None:
    assert parse_world("Thumbs:rate=0.05,flip=0.1 + Delay:mean_s=6e+2+Missing") == [
        Thumbs(rate=0.05, flip=0.1),
        Delay(mean_s=600.0),
        Missing(),
    ]


def test_what_is_given_by_arm_and_arms_with_signs_in_their_names_are_read() -> None:
    assert parse_world("Judge:bias=qwen2.5:7b:0.1;gpt-4o:-0.2,noise=0") == [
        Judge(bias={"qwen2.5:7b": 0.1, "gpt-4o": -0.2}, noise=0.0)
    ]
    assert parse_world("ArmRemoved:arm=command-r++Delay") == [ArmRemoved(arm="command-r+"), Delay()]


def test_none_and_numbers_are_read_where_either_may_stand() -> None:
    assert parse_world("Budget:usd=none,share=0.5") == [Budget(share=0.5)]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("Thumb", r"unknown world 'Thumb' \(did you mean 'Thumbs'\?\). Known are calm and\n  ArmAdded\(arm=best"),
        ("Delay+thumbs", r"unknown world 'thumbs' \(did you mean 'Thumbs'\?\)"),
        ("", "unknown world ''. Known are"),
        ("Delay:mean=3", r"unknown parameter 'mean' \(did you mean 'mean_s'\?\). Delay takes mean_s=600.0, sigma=None"),
        ("Delay:600", "'600' is no parameter=value"),
        ("Delay:mean_s=ten", "mean_s must be a number, got 'ten'"),
        ("Delay:mean_s=1,mean_s=2", "mean_s is given twice"),
        ("Judge:bias=a:x", "bias of arm 'a' must be a number, got 'x'"),
        ("Thumbs:rate=2", r"world 'Thumbs:rate=2': rate must be a number in \[0, 1\], got 2.0"),
        ("Delay:stage=1", "unknown parameter 'stage'"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_could(spec: str, says: str) -> None:
    with pytest.raises(WorldError, match=says):
        parse_world(spec)


def test_every_world_is_found_unasked_and_runs_with_what_its_spec_says() -> None:
    worlds = shipped_worlds()
    assert {"Thumbs", "Delay", "TrafficDrift", "Bursts"} <= set(worlds)
    for name in worlds:
        parsed = parse_world(f"{name}:share=0.5" if name == "Budget" else name)
        assert course(*parsed, rounds=50).n == 50
