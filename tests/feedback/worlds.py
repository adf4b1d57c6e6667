"""Hand-made decisions, outcomes and feedback."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.snapshot import unpack
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Context, Control, Decision, Feedback, Floats, Mode, Outcome, Status
from highwayman.feedback.fold.learner import Learner, LogEntry
from highwayman.feedback.log.events import Event, decision_id_of
from highwayman.feedback.log.record import Record

FINGERPRINT = "test/1"


def make_learner() -> Learner:
    return Learner(LinTS(d=3, fingerprint=FINGERPRINT), DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"))


def context(*features: float, fingerprint: str = FINGERPRINT) -> Context:
    values = np.array(features or (0.5, -0.25, 1.0), dtype=np.float32).astype(np.float64)
    return Context(values, fingerprint, prompt_tokens=12, flags=frozenset({"encoder_timeout"}))


def decision(
    name: str, *, arm: str = "a", arms: tuple[str, ...] = ("a", "b"), mode: Mode = Mode.ROUTE, at: Context | None = None
) -> Decision:
    probs: Floats = np.full(len(arms), 1 / len(arms))
    action = arms.index(arm)
    return Decision(
        id=name,
        tenant="default",
        at=1_700_000_000.25,
        context=at or context(),
        arms=arms,
        penalties=np.linspace(0.0, 0.15, len(arms)),
        probs=probs,
        action=action,
        propensity=float(probs[action]),
        policy="test:Policy",
        policy_version=3,
        objective="auto",
        mode=mode,
    )


def outcome(name: str, *, arm: str = "a", status: Status = Status.OK, cost_usd: float | None = 0.002) -> Outcome:
    return Outcome(
        name, 1_700_000_001.0, arm, status, prompt_tokens=12, tokens_in=20, tokens_out=7, cost_usd=cost_usd,
        ttft_s=0.1, latency_s=0.5, finish_reason="stop", attempts=2,
    )  # fmt: skip


_numbers = itertools.count()


def thumb(
    name: str, value: float | None, *, source: str = "user", metric: str = "thumbs", user: str = "",
    at: float = 1_700_000_002.0, feedback_id: str | None = None,
) -> Feedback:  # fmt: skip
    """Feedback of its own, unless it is given the id of another."""
    own = feedback_id or f"f{next(_numbers)}"
    return Feedback(own, name, at, source, metric, value, user=user)


def entries(events: Iterable[Event]) -> list[LogEntry]:
    """The log as the store would hand it over: ids in order, every record as it stands at the end."""
    numbered = [(f"{n}-0", event) for n, event in enumerate(events, start=1)]
    decisions = {event.id: (n, event) for n, event in numbered if isinstance(event, Decision)}
    outcomes = {event.decision_id: (n, event) for n, event in numbered if isinstance(event, Outcome)}
    found = []
    for event_id, event in numbered:
        about = decision_id_of(event)
        filed = {n: e for n, e in numbered if isinstance(e, Feedback) and e.decision_id == about}
        (outcome_id, ended), (decision_id, made) = outcomes.get(about, (None, None)), decisions[about]
        found.append(LogEntry(event_id, event, Record(made, decision_id, ended, outcome_id, filed)))
    return found


def fold(*events: Event) -> Learner:
    """What is learned of events whose records are as they stand at each event's place."""
    learner = make_learner()
    records: dict[str, Record] = {}
    for number, event in enumerate(events, start=1):
        at, about = f"{number}-0", decision_id_of(event)
        record = records.get(about, Record(None))
        if isinstance(event, Decision):
            record = replace(record, decision=event, decision_id=at)
        elif isinstance(event, Outcome):
            record = replace(record, outcome=event, outcome_id=at)
        elif isinstance(event, Control):
            record = replace(record, erased_id=at)
        else:
            record = replace(record, feedback={**record.feedback, at: event})
        records[about] = record
        assert not learner.step([LogEntry(at, event, record)]).rejected
    return learner


def policy_sums(state: Learner) -> dict[str, np.ndarray]:
    return unpack(state.snapshot().policy)[1]
