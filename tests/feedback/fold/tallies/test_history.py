"""Sums over time as a fold over the log."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Control, ControlKind, Decision, Feedback, Mode, Outcome
from highwayman.feedback.fold.join import attribute_reward
from highwayman.feedback.fold.learner import LogEntry
from highwayman.feedback.fold.tallies.history import OTHERS, History
from highwayman.feedback.fold.tally import HISTORY, Tally
from highwayman.feedback.log.record import Record
from highwayman.serving.insight.history_view import history_view
from tests.feedback.worlds import decision, fold, make_learner, outcome, thumb

DAY = 86_400.0


def asked(name: str, at: float, *, tenant: str = "default", arm: str = "a") -> Decision:
    return replace(decision(name, arm=arm), at=at, tenant=tenant)


def total(history: History, tenant: str | None = None) -> tuple[int, int, int]:
    """Decisions, answers and rated answers of all buckets."""
    buckets = list(history.buckets(tenant))
    served = sum(arm.served for bucket in buckets for arm in bucket.arms.values())
    rated = sum(arm.rated for bucket in buckets for arm in bucket.arms.values())
    return sum(bucket.total.decisions for bucket in buckets), served, rated


def test_each_decision_counts_in_the_bucket_of_its_own_time_with_what_came_of_it() -> None:
    events: list[Decision | Outcome | Feedback] = []
    for k in range(3):
        at = 1_000_000.0 + 600.0 * k
        events += [asked(f"d{k}", at), outcome(f"d{k}", cost_usd=0.25), thumb(f"d{k}", k % 2, at=at + 5.0 + 90.0 * k)]
    buckets = list(fold(*events).tally.history.buckets())
    assert [bucket.total.decisions for bucket in buckets] == [1, 1, 1]
    assert [bucket.arms["a"].weighted for bucket in buckets] == [0.0, 1.0, 0.0]
    assert [bucket.arms["a"].cost_usd for bucket in buckets] == [0.25] * 3
    assert [bucket.total.rated_within[:2] for bucket in buckets] == [(1, 0), (0, 1), (0, 1)]
    assert all(bucket.begin <= 1_000_000 + 600 * k < bucket.end for k, bucket in enumerate(buckets))
    assert [bucket.total.unlikely for bucket in buckets] == [0.5] * 3


def test_recent_buckets_are_narrow_old_ones_wide_and_nothing_is_lost_over_a_year() -> None:
    history, rng = History(), np.random.default_rng(0)
    times = np.sort(rng.random(4_000)) * 365 * DAY + 1e9
    for k, at in enumerate(times):
        history.on_decision(asked(f"d{k}", float(at), arm="ab"[k % 2]))
    buckets = list(history.buckets())
    assert total(history)[0] == 4_000
    assert len(buckets) < 160
    assert all(early.end <= late.begin for early, late in itertools.pairwise(buckets))
    for bucket in buckets:
        age = times[-1] - bucket.begin
        assert bucket.end - bucket.begin <= max(30.0, 0.25 * age)


def test_the_same_decisions_in_another_order_and_through_json_are_the_same_history() -> None:
    rng = np.random.default_rng(1)
    times = [1e9 + 3 * DAY, *(1e9 + 3 * DAY * rng.random(200)).tolist()]
    one, other = History(), History()
    for k, at in enumerate(times):
        one.on_decision(asked(f"d{k}", at))
    for k, at in enumerate(sorted(times)):
        other = History.from_json(json.loads(json.dumps(other.to_json()))) if k % 50 == 0 else other
        other.on_decision(asked(f"d{k}", at))
    assert list(one.buckets()) == list(other.buckets())
    assert one.distance(other) == 0.0


def test_an_erased_decision_leaves_nothing_behind() -> None:
    said = fold(asked("d", 1e9), outcome("d"), thumb("d", 1.0))
    assert total(said.tally.history) == (1, 1, 1)
    gone = fold(asked("d", 1e9), outcome("d"), thumb("d", 1.0), Control(2e9, ControlKind.ERASURE, {"decision": "d"}))
    assert total(gone.tally.history) == (0, 0, 0)
    assert gone.tally.history.distance(History()) == 0.0
    assert said.tally.history.distance(History()) > 0


def test_a_judges_and_a_shadow_call_are_no_traffic_but_cost() -> None:
    shadow = replace(decision("s", mode=Mode.SHADOW), at=1e9)
    judge = replace(decision("j", mode=Mode.FORCED), at=1e9, objective="judge")
    history = fold(shadow, outcome("s", cost_usd=0.5), judge, outcome("j", cost_usd=0.25)).tally.history
    (bucket,) = history.buckets()
    assert (bucket.total.decisions, bucket.total.internal_usd, dict(bucket.arms)) == (0, 0.75, {})


def test_a_named_arms_answer_is_rated_as_any_and_no_part_of_the_arms_rewards() -> None:
    named = replace(decision("n", mode=Mode.FORCED), at=1e9)
    history = fold(asked("d", 1e9), outcome("d"), thumb("d", 1.0), named, outcome("n"), thumb("n", 0.0)).tally.history
    (bucket,) = history.buckets()
    assert (sum(bucket.total.rated_within), bucket.arms["a"].rated, bucket.arms["a"].weighted) == (2, 1, 1.0)
    told = history_view(history, tenant="default", since=0.0, arms=[])
    assert told["feedback"]["coverage"] == told["reward"]["mean"] == 1.0


def test_tenants_are_apart_and_the_many_are_together() -> None:
    history = History()
    for k in range(12):
        history.on_decision(asked(f"d{k}", 1e9, tenant=f"t{k}"))
    assert [total(history, f"t{k}")[0] for k in range(12)] == [1] * 8 + [0] * 4
    assert total(history, OTHERS)[0] == 4
    assert total(history)[0] == 12
    for told in (history, History.from_json(json.loads(json.dumps(history.to_json())))):
        assert [told.counted_as(name) for name in ("t7", "t8", "new")] == ["t7", OTHERS, OTHERS]
    assert History().counted_as("new") == "new"


def test_the_room_it_takes_is_bounded_whatever_tenants_and_arms_there_are() -> None:
    history, rng = History(), np.random.default_rng(2)
    for k, at in enumerate(np.sort(rng.random(6_000)) * 30 * DAY + 1e9):
        history.on_decision(asked(f"d{k}", float(at), tenant=f"t{k % 8}", arm="ab"[k % 2]))
    assert len(json.dumps(history.to_json())) < 60_000
    assert total(history)[0] == 6_000


def test_a_snapshot_of_a_release_without_it_begins_an_empty_history() -> None:
    sums = json.loads(fold(asked("d", 1e9)).tally.to_json())
    del sums[HISTORY]
    assert list(Tally.from_json(json.dumps(sums).encode()).history.buckets()) == []


def test_after_an_upgrade_what_comes_of_older_decisions_takes_nothing_away_from_what_was_never_counted() -> None:
    old, new = 1e9, 1e9 + 100.0
    sums = json.loads(fold(asked("d", old), outcome("d"), thumb("d", 1.0)).tally.to_json())
    del sums[HISTORY]
    history = Tally.from_json(json.dumps(sums).encode(), at=f"{int(1000 * old) + 1}-0").history
    history = History.from_json(json.loads(json.dumps(history.to_json())))
    history.on_decision(asked("n", new))
    told, gone = asked("d", old), outcome("d")
    history.on_decision(told, sign=-1)
    history.on_answer(told, gone, sign=-1)
    said = attribute_reward(Record(told, "1-0", feedback={"2-0": thumb("d", 1.0)}), DEFAULT_SPEC)
    history.on_reward(told, said, None)
    assert total(history) == (1, 0, 0)
    assert all(bucket.begin >= old for bucket in history.buckets())


def test_changes_are_kept_without_ids_and_evidence_and_prices_with_what_was_before() -> None:
    learner = make_learner()
    controls = [
        Control(1.0, ControlKind.CONFIGURATION, {"policy": {"name": "HierTS"}}),
        Control(1.0, ControlKind.ARM_ADDED, {"arm": "a", "usd_per_mtok_in": 1.0, "usd_per_mtok_out": 2.0}),
        Control(2.0, ControlKind.PRICE_CHANGED, {"arm": "a", "usd_per_mtok_in": 1.0, "usd_per_mtok_out": 4.0}),
        Control(3.0, ControlKind.CONFIGURATION, {"policy": {"name": "LinTS"}, "by": "kim"}),
        Control(4.0, ControlKind.TOURNAMENT, {"step": "promote", "champion": "bold", "evidence": {"rounds": 9}}),
        Control(5.0, ControlKind.ERASURE, {"decision": "hw-1", "feedback": []}),
        Control(6.0, ControlKind.ERASURE, {"decision": "hw-2", "feedback": []}),
    ]
    entries = [LogEntry(f"{k}-0", control, Record(None)) for k, control in enumerate(controls, start=1)]
    assert not learner.step(entries).rejected
    restored = Tally.from_json(learner.tally.to_json()).history.changes
    assert [dict(change.detail) for change in restored] == [
        {"keys": [], "first": True},
        {"arm": "a", "usd_per_mtok": [1.0, 2.0]},
        {"arm": "a", "usd_per_mtok": [1.0, 4.0], "before": [1.0, 2.0]},
        {"keys": ["policy"], "first": False, "by": "kim"},
        {"step": "promote", "champion": "bold"},
        {"count": 2, "since": 5.0},
    ]
    assert [change.at for change in restored][-1] == pytest.approx(6.0)
