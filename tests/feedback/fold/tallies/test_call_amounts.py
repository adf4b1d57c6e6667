import itertools
import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from highwayman.env.types import Control, ControlKind, Decision, Mode, Outcome
from highwayman.feedback.fold.learner import Learner, LogEntry, Snapshot
from highwayman.feedback.fold.log_fold import snapshot_difference
from highwayman.feedback.fold.tallies.call_amounts import CallAmounts
from highwayman.feedback.fold.tally import AMOUNTS
from highwayman.feedback.log.record import Record
from tests.feedback.worlds import context, decision, make_learner, outcome

HERE = context().features


def called(
    name: str, tokens: int = 800, seconds: float = 2.0, *, arm: str = "a", mode: Mode = Mode.ROUTE, side: float = 0.5,
    objective: str = "auto", finish_reason: str = "stop",
) -> tuple[Decision, Outcome]:  # fmt: skip
    made = replace(decision(name, arm=arm, mode=mode, at=context(side, -0.25, 1.0)), objective=objective)
    ended = replace(outcome(name, arm=arm), tokens_out=tokens, latency_s=seconds, finish_reason=finish_reason)
    return made, ended


def entries(calls: Iterable[tuple[Decision, Outcome]], *, turned: bool = False) -> list[LogEntry]:
    """Return the log of calls, with each event's record as it stands once both events are there."""
    log, number = [], itertools.count(1)
    for made, ended in calls:
        first, second = f"{next(number)}-0", f"{next(number)}-0"
        record = Record(made, second if turned else first, ended, first if turned else second)
        log.extend(
            LogEntry(at, event, record) for at, event in ((record.decision_id, made), (record.outcome_id, ended))
        )
    return sorted(log, key=lambda entry: int(entry.id.split("-")[0]))


def erased(entry: LogEntry, at: str = "900-0") -> LogEntry:
    assert entry.record is not None
    control = Control(1.0, ControlKind.ERASURE, {"decision": "d"})
    return LogEntry(at, control, replace(entry.record, erased_id=at))


def after(*calls: tuple[Decision, Outcome], turned: bool = False) -> Learner:
    learner = make_learner()
    assert not learner.step(entries(calls, turned=turned)).rejected
    return learner


def expected_tokens(learner: Learner, arm: str = "a", side: float = 0.5) -> float:
    return learner.tally.amounts.expected(context(side, -0.25, 1.0).features, [arm])[arm].tokens_out


def test_what_an_answer_takes_is_learned_by_prompt_and_arm() -> None:
    sides = [(k % 2) * 2.0 - 1.0 for k in range(60)]
    learner = after(*(called(str(k), 1600 if side > 0 else 100, 4.0, side=side) for k, side in enumerate(sides)))
    assert expected_tokens(learner, side=1.0) == pytest.approx(1600, rel=0.15)
    assert expected_tokens(learner, side=-1.0) == pytest.approx(100, rel=0.15)
    answers = learner.tally.amounts.expected(HERE, ["a", "b"])
    assert answers["a"].latency_s == pytest.approx(4.0, rel=0.1)
    assert answers["b"].latency_s is None, "it has not answered yet"


def test_before_any_answer_the_guess_is_expected() -> None:
    answer = CallAmounts().expected(HERE, ["a"])["a"]
    assert (answer.calls, answer.tokens_out, answer.latency_s) == (0, 256.0, None)


@pytest.mark.parametrize(
    ("mode", "objective"), [(Mode.FORCED, "judge"), (Mode.SHADOW, "shadow"), (Mode.FORCED, "as_named")]
)
def test_a_judges_calls_and_those_that_nobody_routed_do_not_price_the_routed_ones(mode: Mode, objective: str) -> None:
    routed = [called(str(k), 100) for k in range(5)]
    others = [called(f"j{k}", 5_000, mode=mode, objective=objective) for k in range(5)]
    assert expected_tokens(after(*routed, *others)) == expected_tokens(after(*routed))


def test_an_arm_that_was_only_named_is_expected_to_take_what_it_did_then() -> None:
    named = [called(str(k), tokens, 3.0, mode=Mode.FORCED, objective="as_named") for k, tokens in enumerate((100, 300))]
    answer = after(*named).tally.amounts.expected(HERE, ["a"])["a"]
    assert (answer.tokens_out, answer.latency_s) == (200.0, 3.0)


def test_an_answer_that_was_cut_off_says_nothing_against_the_guess() -> None:
    cut = after(*(called(str(k), 10, finish_reason="length") for k in range(20)))
    assert expected_tokens(cut) == pytest.approx(256.0)
    long = after(*(called(str(k), 4096, finish_reason="length") for k in range(20)))
    assert expected_tokens(long) > 2_000


def test_decision_and_outcome_may_come_in_either_order_and_again() -> None:
    calls = [called("d", 900), called("e", 100, arm="b", side=-1.0)]
    ordered, turned = after(*calls), after(*calls, turned=True)
    ordered.step(entries(calls))
    assert ordered.tally.amounts.distance(turned.tally.amounts) == 0.0
    assert expected_tokens(ordered) > 256.0


def test_an_erased_call_leaves_nothing_of_what_it_took() -> None:
    calls = [called("d", 900), called("e", 100)]
    learner = after(*calls)
    learner.step([erased(entries(calls)[0])])
    assert learner.tally.amounts.distance(after(calls[1]).tally.amounts) < 1e-12
    learner.step([erased(entries(calls)[2], "901-0")])
    assert expected_tokens(learner) == pytest.approx(256.0)


def test_calls_on_features_of_another_encoder_are_not_learned_from() -> None:
    made, ended = called("d", 900)
    foreign = replace(made, context=context(0.5, -0.25, 1.0, fingerprint="other/1"))
    assert expected_tokens(after((foreign, ended))) == 256.0


def test_a_restored_learner_expects_what_the_other_one_did() -> None:
    learner, restored = after(called("d", 900), called("e", 50, arm="b")), make_learner()
    restored.restore(learner.snapshot())
    assert restored.snapshot() == learner.snapshot()
    assert expected_tokens(restored, "b") == expected_tokens(learner, "b") < 256.0


def old(snapshot: Snapshot) -> Snapshot:
    """Return what a release wrote before calls were told apart by prompt."""
    sums = json.loads(snapshot.tally)
    del sums[AMOUNTS]
    return replace(snapshot, tally=json.dumps(sums).encode())


def test_an_older_state_goes_on_with_the_averages_it_has_until_an_arm_answers_again() -> None:
    calls = [called("d", 900, 3.0), called("e", 100, 1.0)]
    learner = make_learner()
    learner.restore(old(after(*calls).snapshot()))
    assert expected_tokens(learner) == 500.0
    assert expected_tokens(learner, "b") == 256.0
    again = make_learner()
    again.restore(learner.snapshot())
    assert expected_tokens(again) == 500.0
    again.step(entries([*calls, called("f", 2_000)])[4:])
    assert expected_tokens(again) > 600.0


def test_a_call_of_an_older_state_is_erased_from_its_averages_alone() -> None:
    calls = [called("d", 900), called("e", 100)]
    learner = make_learner()
    learner.restore(old(after(*calls).snapshot()))
    learner.step([erased(entries(calls)[0])])
    assert expected_tokens(learner) == 100.0
    assert learner.tally.amounts.distance(CallAmounts(others={"a": (1.0, 100.0, 2.0)})) == 0.0


def test_two_states_differ_by_what_calls_took() -> None:
    one, other = after(called("d", 900)).snapshot(), after(called("d", 901)).snapshot()
    alike = replace(other, tally=json.dumps({**json.loads(other.tally), "a": json.loads(one.tally)["a"]}).encode())
    assert 0.0 < snapshot_difference(one, alike).tally < 1.0
    assert snapshot_difference(one, one).tally == 0.0


@pytest.mark.parametrize(
    "damage", [{"others": {"a": [1.0, 2.0]}}, {"others": {"a": ["many", 1.0, 1.0]}}, {"since": "lately"}]
)
def test_a_damaged_state_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        CallAmounts.from_json(damage)
