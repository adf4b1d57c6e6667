"""What Prometheus scrapes. Labels are arms, endpoints, modes and statuses: never a prompt, never a person."""

import asyncio
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from highwayman.env.data_class import Clearance
from highwayman.env.load.replica_loads import ReplicaState
from highwayman.env.types import Arm, Decision, Feedback, Mode, Outcome, Status
from highwayman.env.upstream.answers.endings import Ending
from highwayman.feedback.intake.decision_ids import seconds_of
from highwayman.feedback.intake.pending import PendingCounts
from highwayman.feedback.savings.report import SavingsReport
from highwayman.feedback.tournament.ramp import Ramp
from highwayman.serving.telemetry.context_flags import what_is_missing
from highwayman.serving.telemetry.exposition import exposition_of
from highwayman.serving.telemetry.families import FAMILIES
from highwayman.serving.telemetry.under_way import UnderWay

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where several processes count together; the library, too, looks at it

_EVENTS = {"d": "decision", "o": "outcome", "f": "feedback"}
_FATES = ("spooled", "drained", "lost", "set_aside", "sent_again")
_ASKED: Final = (Mode.ROUTE, Mode.CASCADE, Mode.FORCED, Mode.STICKY)  # modes of requests that clients make
_DRAWN: Final = frozenset({Mode.ROUTE, Mode.CASCADE})
_STATUSES: Final = tuple(status for status in Status if status is not Status.LOST)  # which no router sees itself
# Counters of arms beside those that every call counts, and the other label's values.
_OF_ARMS: Final[Mapping[str, Iterable[tuple[str, ...]]]] = {
    "failovers": ((),),
    "conversation_switches": ((),),
    "attempts": tuple((ending.value,) for ending in Ending),
}
_REPLICA: Final = {
    "replica_requests_waiting": "waiting",
    "replica_requests_running": "running",
    "replica_kv_cache_usage_ratio": "kv_cache_usage",
    "replica_first_token_seconds": "first_token_s",
}
_LATEST: Final = 64  # decisions, whose exploration and beliefs are shown


@dataclass(frozen=True, slots=True)
class _ArmChildren:
    """What every decision and call of an arm counts; to look each up by its labels takes as long as to count."""

    propensity: Any
    latency: Any
    first_token: Any
    tokens_in: Any
    tokens_out: Any
    cost_usd: Any


class _Children(dict[tuple[str, ...], Any]):
    """What `metric.labels` returns, by labels: it takes a while to look that up."""

    def __init__(self, metric: Counter) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Any:
        child = self[labels] = self._metric.labels(*labels)
        return child


class Metrics:
    """The counters of one router process, in a registry of their own."""

    def __init__(self) -> None:
        # A gauge for each series, which tells nothing that resets of counters do not.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = CollectorRegistry()
        self._made = {family.name: family.make(registry) for family in FAMILIES}
        self._arms: dict[str, _ArmChildren] = {}
        self._requests, self._decisions = _Children(self.counter("requests")), _Children(self.counter("decisions"))
        self._attempts, self._energy = _Children(self.counter("attempts")), _Children(self.counter("energy_wh"))
        self.overhead = self.histogram("decision_seconds")
        self.in_flight = UnderWay(self.gauge("requests_in_flight"), is_shared=SHARED_FOLDER in os.environ)
        self.refused = self.counter("request_errors")
        self.feedback = self.counter("feedback")
        self.judged = self.counter("judged")
        self.shadowed = self.counter("shadowed")
        self.answer_lookups = self.counter("answer_lookups")
        self.degraded = self.counter("degraded_contexts")
        self.policy_version = self.gauge("policy_version")
        self._worth_exploring = self.gauge("worth_its_exploration")
        self._worth_exploring.set(1)
        self._challenger_share = self.gauge("challenger_share")
        self._challengers: set[str] = set()  # that have had a share
        self.latest: deque[Decision] = deque(maxlen=_LATEST)  # decisions of this process
        self.spooled: Callable[[], int] = lambda: 0  # how many events wait for Redis

    def counter(self, name: str) -> Counter:
        """Return a counter by its name without prefix and suffix."""
        return cast(Counter, self._made[f"highwayman_{name}"])

    def gauge(self, name: str) -> Gauge:
        """Return a gauge by its name without prefix."""
        return cast(Gauge, self._made[f"highwayman_{name}"])

    def histogram(self, name: str) -> Histogram:
        """Return a histogram by its name without prefix."""
        return cast(Histogram, self._made[f"highwayman_{name}"])

    def start_at_zero(self, arms: Iterable[Arm]) -> None:
        """Show what these arms count from the start on: a rate does not see the step from nothing to 1."""
        for arm in arms:  # whose children are made as they are looked up
            self._of(arm.name)
            if arm.wh_per_mtok is not None:
                self._energy[arm.name,]
            for mode in _ASKED:
                self._decisions[arm.name, mode]
                for status in _STATUSES:
                    self._requests[arm.name, mode, status]
            for name, values_of_label in _OF_ARMS.items():
                for value in values_of_label:
                    self.counter(name).labels(arm.name, *value)

    def start_values_at_zero(self, values_of: Mapping[str, Iterable[str]]) -> None:
        """Show counters of one label from the start on, with the values of it that are known, by the metric's name."""
        for event, fate in product(_EVENTS.values(), _FATES):
            self.counter("degraded_events").labels(event, fate)
        for name, known in values_of.items():
            for value in known:
                self._made[f"highwayman_{name}"].labels(value)

    def on_savings(self, tenant: str, report: SavingsReport) -> None:
        """Say what a tenant's control slice tells; NaN what is not known."""
        for name, difference in (
            ("savings_usd_per_request", report.saving_usd),
            ("savings_usd", report.total_usd),
            ("quality_gain", report.quality),
        ):
            for bound in ("value", "low", "high"):
                self.gauge(name).labels(tenant, bound).set(_known(getattr(difference, bound, None)))

    def on_replica_load(self, endpoint: str, state: ReplicaState | None) -> None:
        """Say what a replica has to do; NaN what is not known."""
        for name, told in _REPLICA.items():
            self.gauge(name).labels(endpoint).set(_known(getattr(state, told, None)))

    def on_outcome(self, decision: Decision, outcome: Outcome) -> None:
        """Count one finished request."""
        arm = outcome.arm
        self._requests[arm, decision.mode, outcome.status].inc()
        for call in outcome.calls:
            of_arm = self._arms.get(call.arm) or self._of(call.arm)
            of_arm.latency.observe(call.latency_s)
            if call.ttft_s is not None:
                of_arm.first_token.observe(call.ttft_s)
            of_arm.tokens_in.inc(call.tokens_in)
            of_arm.tokens_out.inc(call.tokens_out)
            of_arm.cost_usd.inc(call.cost_usd or 0.0)
        for stage in outcome.stages:
            self.counter("cascade_stages").labels(stage.arm, "rejected" if stage.went_on else "served").inc()
            if stage.went_on:
                self.counter("cascade_rejected_usd").labels(stage.arm).inc(stage.cost_usd or 0.0)
        if outcome.wh is not None:
            self._energy[arm,].inc(outcome.wh)  # an arm whose energy nobody knows has no sum of it
        for attempt in outcome.tried:
            self._attempts[attempt.arm, attempt.ending].inc()
        if arm != decision.arm and all(stage.arm != decision.arm for stage in outcome.stages):
            self.counter("failovers").labels(decision.arm).inc()

    def _of(self, arm: str) -> _ArmChildren:
        """Return what every call of an arm counts, at zero where nothing was counted yet."""
        children = self._arms.get(arm)
        if children is None:
            tokens = self.counter("tokens")
            children = self._arms[arm] = _ArmChildren(
                self.histogram("propensity").labels(arm),
                self.histogram("latency_seconds").labels(arm),
                self.histogram("time_to_first_token_seconds").labels(arm),
                tokens.labels(arm, "in"),
                tokens.labels(arm, "out"),
                self.counter("cost_usd").labels(arm),
            )
        return children

    def on_decision(self, decision: Decision, seconds: float) -> None:
        """Count one decision and how long it took."""
        self.overhead.observe(seconds)
        arm, mode = decision.arm, decision.mode
        self._decisions[arm, mode].inc()
        if mode in _DRAWN:
            (self._arms.get(arm) or self._of(arm)).propensity.observe(decision.propensity)
            self.latest.append(decision)
        if decision.context.flags:  # as most have none
            for flag in what_is_missing(decision.context.flags):
                self.degraded.labels(flag).inc()

    def on_turn(self, decision: Decision, holder: str) -> None:
        """Count a turn of a conversation whose turn before `holder` answered."""
        if decision.arm != holder:
            self.counter("conversation_switches").labels(decision.arm).inc()

    def on_masked(self, clearance: Clearance) -> None:
        """Count a request that some arms may not have."""
        self.counter("masked").labels(clearance.data_class.label, clearance.rule).inc()

    def on_feedback(self, feedback: Feedback) -> None:
        """Count a statement."""
        self.feedback.labels(feedback.metric).inc()

    def on_filed(self, shares: Sequence[Feedback]) -> None:
        """Note how long after its decision a statement came; of one on several, each has its own delay."""
        for share in shares:
            decided_at = seconds_of(share.decision_id)
            if decided_at is not None:  # to the second, so what comes at once may look a second late
                delay_s = max(share.at - decided_at, 0.0)
                self.histogram("feedback_delay_seconds").labels(share.metric).observe(delay_s)

    def on_error(self, code: str) -> None:
        """Count an error that a client was told."""
        self.refused.labels(code).inc()

    def on_health(self, arm: str, *, resting: int, chance: float) -> None:
        """Say how many of an arm's endpoints rest, and how likely it answers."""
        self.gauge("resting_endpoints").labels(arm).set(resting)
        self.gauge("chance_to_answer").labels(arm).set(chance)

    def on_reload(self, *, taken: bool, at: float) -> None:
        """Say whether configuration and pool, read at `at`, s since the epoch, were taken; else the old stay."""
        self.gauge("config_last_reload_successful").set(taken)
        if taken:
            self.gauge("config_last_reload_success_timestamp_seconds").set(at)

    def on_ramp(self, ramp: Ramp) -> None:
        """Say who decides beside the champion, and whether the best constant arm would do better."""
        self._worth_exploring.set(0 if ramp.warned else 1)
        for challenger in self._challengers - {ramp.challenger}:
            self._challenger_share.labels(challenger).set(0)  # several processes' files keep a label that is cleared
        if ramp.challenger:
            self._challengers.add(ramp.challenger)
            self._challenger_share.labels(ramp.challenger).set(ramp.share)

    def on_version(self, version: int, lag_s: float) -> None:
        """Say which version is in force; where several processes count together, the oldest of theirs is shown."""
        self.policy_version.set(version)
        self.gauge("policy_lag_seconds").set(lag_s)

    def on_delivery_outcome(self, delivery_outcome: str, kind: str) -> None:
        """Count what became of an event of this kind (d, o, f) that did not go to the log directly."""
        self.counter("degraded_events").labels(_EVENTS[kind], delivery_outcome).inc()
        self.gauge("spooled_events").set(self.spooled())

    def exposition(self, pending: PendingCounts | None = None) -> bytes:
        """Return everything in Prometheus' text format, summed over the processes that count together.

        `pending` is of the whole namespace, the same whichever process is asked; None: Redis did not tell.
        """
        self.look()
        return self.as_text(pending)

    def look(self) -> None:
        """See how things stand in this process, in its event loop."""
        self.gauge("tasks").set(_alive_tasks())
        self.gauge("spooled_events").set(self.spooled())
        self.in_flight.tell()

    def as_text(self, pending: PendingCounts | None) -> bytes:
        """Return what was counted and seen, as `exposition` does; may be called in another thread."""
        registry = self.registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return exposition_of(registry, pending)


def _known(number: float | None) -> float:
    return math.nan if number is None else number


def adopt_worker_metrics(worker: str) -> None:
    """Let the metrics that are made from now on go on where `worker`, whose process has ended, left off.

    By default a process counts under its id: each restart would leave files behind that every scrape reads.
    """
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]


def drop_live_gauges(worker: str, folder: Path) -> None:
    """Take what only a living process can say, the version in force, out of the shared folder."""
    mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


def _alive_tasks() -> int:
    """Return how many tasks the running event loop has, 0 without one."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
