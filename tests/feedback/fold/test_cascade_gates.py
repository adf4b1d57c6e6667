"""Answers that were looked at, on the log: whom feedback on them teaches what, exactly once."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from highwayman.bandit.cascade.gates import Gates
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import CascadeStage, Control, ControlKind, Mode, Outcome
from highwayman.feedback.fold.learner import Learner, LogEntry
from highwayman.feedback.fold.log_fold import snapshot_difference
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import Record
from tests.feedback.worlds import FINGERPRINT, decision, entries, make_learner, outcome, policy_sums, thumb

KEPT = CascadeStage("a", {"margin": 0.9, "expected": 0.6, "estimate": 0.7, "next_expected": 0.8}, 0.7, 0.2, False, "b")
REJECTED = replace(KEPT, good=0.3, goes_on=0.98, went_on=True)
SECOND = CascadeStage("b", {"margin": 0.5, "expected": 0.75, "estimate": 0.8}, 0.8, 0.0, False)


def after(*events: Event) -> Learner:
    state = make_learner()
    assert state.step(entries(events)).rejected == ()
    return state


def kept(name: str = "d") -> Outcome:
    return replace(outcome(name, arm="a"), stages=(KEPT,))


def escalated(name: str = "d") -> Outcome:
    return replace(outcome(name, arm="b"), stages=(REJECTED, SECOND))


def gates(state: Learner) -> Gates:
    return state.tally.gates_for("default")


def test_feedback_on_an_answer_that_was_looked_at_teaches_its_gate_and_the_tally_survives_a_restart() -> None:
    state = after(decision("d"), kept(), thumb("d", 1.0))
    good = gates(state).judge("a", 0.6, {"margin": 0.9}).good
    assert good > gates(after(decision("d"), kept())).judge("a", 0.6, {"margin": 0.9}).good
    restarted = make_learner()
    restarted.restore(state.snapshot())
    assert gates(restarted).judge("a", 0.6, {"margin": 0.9}).good == pytest.approx(good)
    assert Tally.from_json(after(decision("d"), outcome("d")).snapshot().tally).gates_for("default").to_json() == {}


def test_a_kept_answers_feedback_counts_for_its_arm_by_how_probable_it_was_to_be_kept() -> None:
    plain = after(decision("d"), outcome("d", arm="a"), thumb("d", 1.0))
    state = after(decision("d"), kept(), thumb("d", 1.0))
    told = 0.7 + (1.0 - 0.7) / 0.8
    assert state.tally.arm("a").weighted == plain.tally.arm("a").weighted
    one, other = policy_sums(state), policy_sums(plain)
    assert any(np.allclose(one[name], told * other[name]) and np.any(other[name]) for name in one)


def test_feedback_after_a_rejected_answer_teaches_its_arm_what_the_gate_said_and_the_next_its_gates() -> None:
    state = after(decision("d"), escalated(), thumb("d", 1.0))
    assert (state.tally.arm("b").weight, state.tally.arm("a").weight) == (1.0, 0.0)
    worth, _ = gates(state).next_quality(["b"], np.array([0.8]), before=0.6, good=0.3)
    assert worth[0] > 0.8
    assert gates(state).judge("b", 0.75, {"margin": 0.5}).good > 0.8
    same = after(decision("d"), escalated(), thumb("d", 0.0))
    for name, sums in policy_sums(state).items():
        assert np.allclose(sums, policy_sums(same)[name])


@pytest.mark.parametrize("ended", [kept(), escalated()])
def test_a_flipped_or_retracted_thumb_ends_as_if_only_the_last_had_been_given(ended: Outcome) -> None:
    once = after(decision("d"), ended, thumb("d", 0.0))
    flipped = after(decision("d"), ended, thumb("d", 1.0), thumb("d", 0.0))
    assert snapshot_difference(once.snapshot(), flipped.snapshot()).largest < 1e-12
    never = after(decision("d"), ended)
    back = after(decision("d"), ended, thumb("d", 1.0), thumb("d", None))
    assert snapshot_difference(never.snapshot(), back.snapshot()).largest < 1e-12
    assert snapshot_difference(never.snapshot(), once.snapshot()).largest > 0.1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_in_whatever_order_decision_outcome_and_feedback_come_the_same_is_known(order: tuple[int, ...]) -> None:
    events = (decision("d"), escalated(), thumb("d", 1.0))
    state = after(*(events[place] for place in order))
    assert snapshot_difference(state.snapshot(), after(*events).snapshot()).largest < 1e-12


def test_gates_forget_at_the_policys_half_life_and_where_an_arm_has_changed() -> None:
    policy = LinTS(d=3, fingerprint=FINGERPRINT, half_life_events=1.0)
    forgets = Learner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"))
    names = [f"u{number}" for number in range(6)]
    ups = [event for name in names for event in (decision(name), kept(name), thumb(name, 1.0))]
    down = (decision("d"), kept("d"), thumb("d", 0.0))
    changed = Control(0.0, ControlKind.CHANGE_NOTICED, {"arm": "a", "share": 0.02, "better": False})
    forgets.step(entries((*ups, *down)))
    goods = [gates(state).judge("a", 0.6, {"margin": 0.9}).good for state in (after(*ups, *down), forgets)]
    told = entries((*ups, *down))
    doubtful = make_learner()
    doubtful.step([*told[:-3], LogEntry("18-1", changed), *told[-3:]])
    goods.append(gates(doubtful).judge("a", 0.6, {"margin": 0.9}).good)
    assert goods[0] > max(goods[1:]) + 0.1
    restarted = make_learner()
    restarted.restore(doubtful.snapshot())
    assert snapshot_difference(restarted.snapshot(), doubtful.snapshot()).largest == 0


def test_events_read_again_change_nothing() -> None:
    log = entries((decision("d"), escalated(), thumb("d", 1.0)))
    state = make_learner()
    for part in (log, log, log[1:]):
        state.step(part)
    assert (
        snapshot_difference(state.snapshot(), after(decision("d"), escalated(), thumb("d", 1.0)).snapshot()).largest
        == 0
    )


def test_an_erased_decision_leaves_nothing_of_its_label() -> None:
    made, ended, given = decision("d"), escalated(), thumb("d", 1.0)
    state = after(made, ended, given)
    gone = Record(made, "1-0", ended, "2-0", {"3-0": given}, erased_id="4-0")
    state.step([LogEntry("4-0", Control(0.0, ControlKind.ERASURE, {"decision": "d"}), gone)])
    assert gates(state).distance(Gates()) < 1e-12
    assert state.tally.arm("b").weight == 0.0


def test_a_tenants_feedback_moves_nobody_elses_gates() -> None:
    state = after(replace(decision("d"), tenant="acme"), escalated(), thumb("d", 1.0))
    assert gates(state).to_json() == {}
    assert state.tally.gates_for("acme").judge("b", 0.75, {"margin": 0.5}).good > 0.8


def test_answers_of_arms_that_callers_named_teach_no_gate() -> None:
    state = after(replace(decision("d"), mode=Mode.FORCED), kept(), thumb("d", 1.0))
    assert gates(state).distance(Gates()) == 0.0
