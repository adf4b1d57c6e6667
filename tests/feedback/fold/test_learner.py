import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit.draw import mix
from highwayman.bandit.drift.change_monitor import ChangeMonitors
from highwayman.bandit.policies.dueling_lin_ts import DuelingLinTS
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.snapshot import unpack
from highwayman.env.encoder.features.tags import NAMED_CALL, Tag, TagColumns
from highwayman.env.errors import SnapshotError
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import (
    DEFAULT_TENANT,
    SHADOW_OF_FLAG,
    Control,
    ControlKind,
    Feedback,
    Mode,
    Outcome,
)
from highwayman.feedback.fold.learner import Learner, LogEntry
from highwayman.feedback.fold.tallies.calibration_counts import NAMED
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import Record
from tests.feedback.worlds import FINGERPRINT, context, decision, entries, make_learner, outcome, policy_sums, thumb


def same(one: Learner, other: Learner) -> bool:
    left, right = policy_sums(one), policy_sums(other)
    return all(np.allclose(left[name], right[name], rtol=0, atol=1e-9) for name in left)


def test_flipping_a_thumb_leaves_the_state_that_only_ever_saw_the_final_value() -> None:
    flipped, final = make_learner(), make_learner()
    flipped.step(entries([decision("d"), thumb("d", 1.0), thumb("d", 0.0)]))
    final.step(entries([decision("d"), thumb("d", 0.0)]))
    assert same(flipped, final)
    assert flipped.tally.arm("a").feedback == final.tally.arm("a").feedback == 1


def test_a_shadow_answer_teaches_where_its_arm_was_drawn_and_not_where_somebody_named_it() -> None:
    named, drawn = make_learner(), make_learner()
    first = decision("d")
    flagged = replace(context(), flags=frozenset({SHADOW_OF_FLAG + first.id}))
    named.step(entries([decision("s", mode=Mode.SHADOW), thumb("s", 1.0)]))
    drawn.step(entries([decision("s", mode=Mode.SHADOW, at=flagged), thumb("s", 1.0)]))
    assert same(named, make_learner())
    assert not same(drawn, make_learner())


def test_a_retracted_thumb_leaves_the_prior() -> None:
    state = make_learner()
    state.step(entries([decision("d"), thumb("d", 1.0), thumb("d", None)]))
    assert same(state, make_learner())
    assert state.tally.arm("a").feedback == 0


def test_events_read_again_change_nothing() -> None:
    log = entries([decision("d"), outcome("d"), thumb("d", 1.0)])
    once, twice = make_learner(), make_learner()
    once.step(log)
    twice.step(log)
    twice.step(log)
    twice.step(log[1:])
    assert same(once, twice)
    assert twice.tally.arms == once.tally.arms


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_state_is_the_fold_whatever_the_batches_and_restarts(data: st.DataObject) -> None:
    names = [str(k) for k in range(data.draw(st.integers(1, 5)))]
    log: list[Event] = []
    for name in names:
        at = context(*data.draw(st.tuples(st.floats(-1, 1), st.floats(-1, 1))), 1.0)
        log.append(decision(name, arm=data.draw(st.sampled_from(["a", "b"])), at=at))
    for name in data.draw(st.lists(st.sampled_from(names), max_size=12)):
        log.append(thumb(name, data.draw(st.sampled_from([0.0, 1.0, None]))))
        if data.draw(st.booleans()) and not any(isinstance(e, Outcome) and e.decision_id == name for e in log):
            log.append(outcome(name, arm=data.draw(st.sampled_from(["a", "b"]))))
    events = entries(log)
    whole = make_learner()
    whole.step(events)

    pieces = make_learner()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    for start, end in itertools.pairwise([0, *cuts, len(events)]):
        pieces.step(events[max(start - 2, 0) : end])  # some events are delivered again
        if data.draw(st.booleans()):
            restarted = make_learner()
            restarted.restore(pieces.snapshot())
            pieces = restarted
    assert same(whole, pieces)
    assert pieces.position == whole.position
    assert {name: (t.decisions, t.feedback, t.calls) for name, t in pieces.tally.arms.items()} == {
        name: (t.decisions, t.feedback, t.calls) for name, t in whole.tally.arms.items()
    }


def test_features_of_another_encoder_are_counted_but_not_learned_from() -> None:
    state = make_learner()
    step = state.step(entries([decision("d", at=context(1.0, 1.0, fingerprint="other/2")), thumb("d", 1.0)]))
    assert not step.learned
    assert same(state, make_learner())
    assert state.tally.arm("a").feedback == 1


def test_an_arm_met_on_the_log_is_added() -> None:
    state = make_learner()
    state.step(entries([decision("d", arm="new", arms=("a", "new")), thumb("d", 1.0)]))
    assert "new" in unpack(state.snapshot().policy)[0]["arms"]


def test_a_damaged_snapshot_is_refused_and_changes_nothing() -> None:
    state = make_learner()
    state.step(entries([decision("d"), thumb("d", 1.0)]))
    good = state.snapshot()
    bad = type(good)(good.position, good.policy[:-1] + b"x", good.tally)
    with pytest.raises(SnapshotError):
        state.restore(bad)
    assert state.snapshot() == good


def test_an_event_the_policy_refuses_is_told_and_the_rest_is_learned() -> None:
    log = entries([decision("bad", at=context(1.0, 1.0)), decision("d"), thumb("bad", 1.0), thumb("d", 1.0)])
    state, without = make_learner(), make_learner()
    step = state.step(log)
    without.step([log[1], log[3]])
    assert [event_id for event_id, _ in step.rejected] == ["3-0"]
    assert "shape" in step.rejected[0][1]
    assert step.learned
    assert same(state, without)
    assert state.tally.arm("a").feedback == 1


def test_preferences_teach_a_policy_that_learns_from_them_and_a_flip_leaves_no_trace() -> None:
    def prefer(number: int, share: float | None) -> Feedback:
        return replace(
            thumb("d", share, metric="preference", feedback_id=f"p{number}", at=float(number)), compared_arm="b"
        )

    def learned(*said: Feedback) -> Learner:
        learner = Learner(
            DuelingLinTS(d=3, fingerprint=FINGERPRINT), DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b")
        )
        filed: dict[str, Feedback] = {}
        for number, one in enumerate(said, start=2):
            filed[f"{number}-0"] = one
            learner.step([LogEntry(f"{number}-0", one, Record(decision("d"), "1-0", feedback=dict(filed)))])
        return learner

    def expected(learner: Learner) -> list[float]:
        policy = learner.policy
        assert isinstance(policy, DuelingLinTS)
        return policy.expected_quality(context(), ("a", "b")).tolist()

    won = expected(learned(prefer(1, 1.0)))
    assert won[0] > won[1]
    assert expected(learned(prefer(1, 0.0), prefer(2, 1.0))) == pytest.approx(won, abs=1e-9)
    assert expected(learned(prefer(1, 1.0), prefer(2, None))) == pytest.approx(expected(learned()), abs=1e-9)


@pytest.mark.parametrize("mode", [Mode.FORCED, Mode.SHADOW])
def test_what_is_said_of_a_call_that_was_not_drawn_teaches_neither_policy_nor_calibration(mode: Mode) -> None:
    state = make_learner()
    step = state.step(
        entries([decision("d", mode=mode), thumb("d", 1.0), thumb("d", 0.4, source="judge", metric="judge")])
    )
    assert not step.learned
    assert same(state, make_learner())
    assert [cell.kind for cell, _ in state.tally.calibration_counts.cells()] == [NAMED]
    assert state.tally.arm("a").feedback == 1


def test_what_is_said_of_a_tool_loops_turn_teaches() -> None:
    state = make_learner()
    assert state.step(entries([decision("d", mode=Mode.STICKY), thumb("d", 1.0)])).learned
    assert not same(state, make_learner())


TASK = TagColumns((Tag("task", ("maths", "code")),))
NAMED_TOLD = TagColumns((Tag(NAMED_CALL, ("yes",)),))


def learner_with(columns: TagColumns) -> Learner:
    fingerprint = columns.fingerprint(FINGERPRINT)
    policy = LinTS(d=3 + columns.width, fingerprint=fingerprint)
    return Learner(policy, DEFAULT_SPEC, fingerprint=fingerprint, arms=("a", "b"))


def test_what_was_learned_before_a_tag_was_declared_is_learned_with_the_tag_unknown() -> None:
    log = [
        decision("old"),
        decision("new", at=TASK.apply(context(), [("task", 1)])),
        thumb("old", 1.0),
        thumb("new", 1.0),
    ]
    state = learner_with(TASK)
    assert state.step(entries(log)).learned
    a = policy_sums(state)["a"][0]
    assert a[:3, :3].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert a[5, 5] == 2.0
    taken_away = make_learner()
    assert taken_away.step(entries(log)).learned
    assert policy_sums(taken_away)["a"][0][2, 2] == 2.0


def test_a_named_call_teaches_where_a_feature_tells_it_apart() -> None:
    at = NAMED_TOLD.apply(context(), [(NAMED_CALL, 0)])
    told, untold = decision("d", mode=Mode.FORCED, at=at), decision("d", mode=Mode.FORCED)
    assert learner_with(NAMED_TOLD).step(entries([told, thumb("d", 1.0)])).learned
    assert not learner_with(NAMED_TOLD).step(entries([untold, thumb("d", 1.0)])).learned
    assert not make_learner().step(entries([told, thumb("d", 1.0)])).learned


@pytest.mark.parametrize("columns", [TagColumns(), NAMED_TOLD])
def test_an_arm_named_for_hard_tasks_keeps_the_traffic_that_it_earns_where_it_is_drawn(columns: TagColumns) -> None:
    rng, arms, good = np.random.default_rng(0), ("small", "large"), {"small": 0.6, "large": 0.8}
    fingerprint = columns.fingerprint(FINGERPRINT)
    policy = HierTS(d=3 + columns.width, fingerprint=fingerprint)
    learner = Learner(policy, DEFAULT_SPEC, fingerprint=fingerprint, arms=arms)
    learner.notices.monitors = ChangeMonitors(100_000.0)
    shares, learned_named = [], 0
    for number in range(1, 3_000, 2):
        named = rng.random() < 0.3
        at = columns.apply(context(*rng.normal(scale=0.3, size=2), 1.0), [(NAMED_CALL, 0)] if named else [])
        probs = learner.policy.probs(at, arms, np.zeros(2))
        arm = "large" if named or rng.random() < mix(probs, floor=0.02)[1] else "small"
        said = thumb("d", float(rng.random() < good[arm] - 0.5 * named))
        made = decision("d", arm=arm, arms=arms, mode=Mode.FORCED if named else Mode.ROUTE, at=at)
        record = Record(made, f"{number}-0", feedback={f"{number}-1": said})
        learned_named += learner.step([LogEntry(f"{number}-1", said, record)]).learned and named
        shares += [] if named else [probs[1]]
    assert np.mean(shares[-300:]) > 0.9
    assert (learned_named > 400) == bool(columns.tags)
    assert learner.tally.arm("large").feedback + learner.tally.arm("small").feedback == 1_500


@pytest.mark.parametrize("tenant", [None, "acme"])
def test_a_noticed_change_discounts_the_arm_for_its_tenant_and_nobody_else(tenant: str | None) -> None:
    detail = {"arm": "a", "share": 0.1} | ({} if tenant is None else {"tenant": tenant})
    owner = tenant or DEFAULT_TENANT
    made = [replace(decision(name, at=context()), tenant=name) for name in (DEFAULT_TENANT, "acme")]
    policy = LinTS(d=3, fingerprint=FINGERPRINT)
    state = Learner(
        policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"), make=lambda: LinTS(d=3, fingerprint=FINGERPRINT)
    )
    said = [thumb(each.id, 1.0) for each in made]
    state.step(entries([*made, *said]))
    step = state.step([LogEntry("9-0", Control(1.0, ControlKind.CHANGE_NOTICED, detail))])
    assert step.learned
    weights = {}
    for each in made:
        of_tenant = state.policy_for(each.tenant)
        assert isinstance(of_tenant, LinTS)
        weights[each.tenant] = of_tenant.weight_of("a")
    assert weights == pytest.approx({name: 0.1 if name == owner else 1.0 for name in weights})


def test_a_change_that_a_policy_cannot_discount_is_nothing_learned_and_nothing_refused() -> None:
    state = Learner(Uniform(d=3), DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"))
    step = state.step([LogEntry("1-0", Control(1.0, ControlKind.CHANGE_NOTICED, {"arm": "a", "share": 0.1}))])
    assert (step.learned, step.rejected) == (False, ())


def test_a_preference_for_an_arm_that_the_policy_has_not_met_teaches_it() -> None:
    state = Learner(DuelingLinTS(d=3, fingerprint=FINGERPRINT), DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=())
    said = replace(thumb("d", 1.0, metric="preference"), compared_arm="b")
    step = state.step([LogEntry("2-0", said, Record(decision("d"), "1-0", feedback={"2-0": said}))])
    assert (step.learned, step.rejected) == (True, ())
    assert isinstance(state.policy, DuelingLinTS)
    better, worse = state.policy.expected_quality(context(), ("a", "b"))
    assert better > worse
