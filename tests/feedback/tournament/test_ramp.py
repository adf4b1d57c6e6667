"""Which step follows from which verdicts."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from highwayman.env.errors import ConfigError
from highwayman.feedback.tournament.ramp import (
    BEST_CONSTANT,
    Ramp,
    RampRules,
    RampStep,
    next_step,
    promote_by_hand,
    rollback_by_hand,
)
from highwayman.feedback.tournament.score import ChallengerScore

RULES = RampRules(challengers=("x", "y"), step_decisions=100, by="evidence")
BY_HAND = replace(RULES, by="hand")


def verdict(champion: str = "configured", **changes: Any) -> dict[str, Any]:
    fields = asdict(ChallengerScore().verdict(0.05)) | {"champion": champion, "decisions": 1000, "difference": 0.01}
    return fields | changes


def step(ramp: Ramp, rules: RampRules = RULES, **verdicts: dict[str, Any]) -> RampStep:
    follows = next_step(ramp, {name.replace("_", "-"): fields for name, fields in verdicts.items()}, rules)
    assert follows is not None
    return follows


def test_the_challenger_that_looks_best_is_tried_with_the_first_share() -> None:
    follows = step(Ramp(), x=verdict(), y=verdict(difference=0.02))
    assert (follows.step, follows.ramp.challenger, follows.ramp.share) == ("trial", "y", 0.01)


def test_nobody_is_tried_unless_evidence_may_promote() -> None:
    assert next_step(Ramp(), {"x": verdict()}, BY_HAND) is None


def test_shares_rise_step_by_step_while_no_guard_is_broken() -> None:
    ramp = Ramp(challenger="x", share=0.01, by="evidence", decisions=950)
    assert next_step(ramp, {"x": verdict()}, RULES) is None
    follows = step(ramp, x=verdict(decisions=1050))
    assert (follows.step, follows.ramp.share, follows.ramp.decisions) == ("share", 0.05, 1050)


def test_the_last_share_takes_evidence_unless_a_person_asked() -> None:
    ramp = Ramp(challenger="x", share=0.25, by="evidence")
    assert next_step(ramp, {"x": verdict()}, RULES) is None
    assert step(ramp, x=verdict(better=True)).ramp.champion == "x"
    assert step(replace(ramp, by="hand"), x=verdict()).ramp == Ramp(champion="x", previous="configured", by="hand")


@pytest.mark.parametrize(
    "broken",
    [
        {"worse": True},
        {"meters": verdict()["meters"] | {"failures": {"difference": 0.1, "low": 0.05, "high": 0.2}}},
        {"meters": verdict()["meters"] | {"seconds": {"difference": 0.9, "low": 0.6, "high": 2.0}}},
        {"meters": verdict()["meters"] | {"dollars": {"difference": 0.9, "low": 0.6, "high": 2.0}}},
    ],
)
def test_a_broken_guard_takes_the_traffic_back_and_bars_the_challenger(broken: dict[str, Any]) -> None:
    follows = step(Ramp(challenger="x", share=0.25, by="evidence"), x=verdict(**broken))
    assert (follows.step, follows.ramp) == ("rollback", Ramp(barred=("x",), by="evidence"))
    assert next_step(follows.ramp, {"x": verdict(better=True)}, RULES) is None


def test_a_new_champion_goes_back_where_rewards_have_fallen_or_the_old_one_would_do_better() -> None:
    ramp = Ramp(champion="x", previous="configured")
    for verdicts in (
        {"y": verdict("x", fell=True)},
        {"configured": verdict("x", better=True)},
        {"configured": verdict("x", meters=verdict()["meters"] | {"failures": {"low": -1.0, "high": -0.1}})},
    ):
        follows = step(ramp, **verdicts)
        assert (follows.step, follows.ramp.champion, follows.ramp.barred) == ("rollback", "configured", ("x",))


def test_verdicts_on_the_time_of_another_champion_move_nobody() -> None:
    ramp = Ramp(champion="x", previous="configured")
    assert next_step(ramp, {"configured": verdict("configured", better=True, fell=True)}, RULES) is None


def test_a_champion_that_loses_to_the_best_constant_arm_is_told_once_and_stopped_if_so_configured() -> None:
    follows = step(Ramp(), BY_HAND, best_constant=verdict(better=True))
    assert (follows.step, follows.ramp.warned, follows.ramp.champion) == ("guard", True, "configured")
    assert next_step(follows.ramp, {BEST_CONSTANT: verdict(better=True)}, BY_HAND) is None
    assert not step(follows.ramp, BY_HAND, best_constant=verdict()).ramp.warned
    stopped = step(Ramp(), replace(BY_HAND, stop=True), best_constant=verdict(better=True))
    assert (stopped.step, stopped.ramp.champion) == ("promote", BEST_CONSTANT)


def test_a_person_promotes_by_steps_or_at_once_and_rolls_back() -> None:
    begun = promote_by_hand(Ramp(barred=("x",)), "x", RULES, at_once=False, evidence={"decisions": 7})
    assert begun.ramp == Ramp(challenger="x", share=0.01, decisions=7)
    at_once = promote_by_hand(Ramp(), "x", RULES, at_once=True, evidence={})
    assert at_once.ramp == Ramp(champion="x", previous="configured")
    assert rollback_by_hand(begun.ramp, evidence={}).ramp == Ramp(barred=("x",))
    assert rollback_by_hand(at_once.ramp, evidence={}).ramp == Ramp(barred=("x",))
    with pytest.raises(ConfigError, match=r"no challenger 'z'.*x, y, best-constant"):
        promote_by_hand(Ramp(), "z", RULES, at_once=False, evidence={})
    with pytest.raises(ConfigError, match="nobody"):
        rollback_by_hand(Ramp(), evidence={})


def test_evidence_alone_skips_no_share_and_a_ramp_of_one_step_waits_for_it() -> None:
    assert step(Ramp(), x=verdict(better=True)).ramp.share == 0.01
    assert step(Ramp(challenger="x", share=0.01, by="evidence"), x=verdict(better=True)).ramp.share == 0.05
    one = replace(RULES, shares=(1.0,))
    assert next_step(Ramp(), {"x": verdict()}, one) is None
    assert step(Ramp(), one, x=verdict(better=True)).ramp.champion == "x"


def test_a_champion_that_is_configured_no_more_gives_way_to_the_configured_policy() -> None:
    assert step(Ramp(champion="gone", previous="x", barred=("y",))).ramp == Ramp(barred=("y",))


def test_another_router_that_was_told_begins_and_is_gone_back_to() -> None:
    rules = RampRules(challengers=("configured", "x"), by="evidence", first="told")
    begun = Ramp.from_json("", first=rules.first)
    assert begun == Ramp("told")
    trial = step(begun, rules, configured=verdict("told"))
    assert (trial.ramp.champion, trial.ramp.challenger) == ("told", "configured")
    promoted = promote_by_hand(begun, "x", rules, at_once=True, evidence={}).ramp
    assert rollback_by_hand(promoted, evidence={}).ramp == Ramp("told", barred=("x",))
    assert step(Ramp("gone"), rules).ramp == Ramp("told")
    assert step(Ramp("told")).ramp == Ramp()  # no more, where it is not configured


def test_a_challenger_that_is_configured_no_more_loses_its_traffic() -> None:
    assert step(Ramp(challenger="gone", share=0.05)).ramp == Ramp(barred=("gone",))


def test_a_ramp_is_written_and_read_and_what_cannot_be_read_is_the_start() -> None:
    ramp = Ramp("x", "y", 0.05, "evidence", 12, "configured", ("z",), warned=True)
    assert Ramp.from_json(ramp.to_json()) == ramp
    assert Ramp.from_json("") == Ramp.from_json("{broken") == Ramp()


def test_a_step_stands_on_the_log_with_its_evidence() -> None:
    control = step(Ramp(), x=verdict()).control(5.0)
    assert control.detail["evidence"]["decisions"] == 1000
    assert (control.at, control.detail["champion"], control.detail["share"]) == (5.0, "configured", 0.01)
