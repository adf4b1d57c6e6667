"""What Prometheus scrapes. Labels are arms, endpoints, modes and statuses: never a prompt, never a person."""

import asyncio
import math
import os
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from highwayman.env.data_class import TELLING, Clearance
from highwayman.env.load.replica_loads import ReplicaState
from highwayman.env.types import (
    BASELINE_FLAG,
    CLIENT_TASK,
    CONTROL,
    DELEGATED,
    NO_EXPLORATION,
    ONLY_DRAWN,
    RESTING_FLAG,
    SCRIPT_FLAG,
    SIMILARITY_FLAG,
    STORED_BY_FLAG,
    STORED_FROM_FLAG,
    TOOLS_DROPPED,
    Decision,
    Outcome,
)
from highwayman.feedback.intake.pending import PendingCounts
from highwayman.feedback.savings.report import SavingsReport
from highwayman.feedback.tournament.ramp import Ramp

_LATENCY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_OVERHEAD_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where several processes count together; the library, too, looks at it

# flags of whole contexts
_NOT_DEGRADED = frozenset({NO_EXPLORATION, CLIENT_TASK, TOOLS_DROPPED, CONTROL, DELEGATED, ONLY_DRAWN})
# What begins other such flags.
_TELLING = (SCRIPT_FLAG, RESTING_FLAG, BASELINE_FLAG, SIMILARITY_FLAG, STORED_BY_FLAG, STORED_FROM_FLAG, *TELLING)
_EVENTS = {"d": "decision", "o": "outcome", "f": "feedback"}


class Metrics:
    """The counters of one router process, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._children: dict[tuple[Any, ...], Any] = {}  # of what every request counts, by metric and labels
        self._requests = Counter(
            "highwayman_requests", "Requests answered", ["arm", "mode", "status"], registry=registry
        )
        self._latency = Histogram(
            "highwayman_latency_seconds", "Whole upstream calls", ["arm"], buckets=_LATENCY_S, registry=registry
        )
        self._ttft = Histogram(
            "highwayman_time_to_first_byte_seconds", "From sending upstream to its first meaningful event", ["arm"],
            buckets=_LATENCY_S, registry=registry,
        )  # fmt: skip
        self.overhead = Histogram(
            "highwayman_decision_seconds", "From the request's last byte to its decision",
            buckets=_OVERHEAD_S, registry=registry,
        )  # fmt: skip
        self._tokens = Counter("highwayman_tokens", "Tokens metered", ["arm", "direction"], registry=registry)
        self._cost = Counter("highwayman_cost_usd", "Dollars metered", ["arm"], registry=registry)
        self._failovers = Counter(
            "highwayman_failovers", "Answers by another arm than intended", ["arm"], registry=registry
        )
        self._attempts = Counter(
            "highwayman_attempts", "Calls of arms, by how each ended", ["arm", "ending"], registry=registry
        )
        self._stages = Counter(
            "highwayman_cascade_stages", "Answers that a cascade looked at, and what became of each: served, rejected",
            ["arm", "fate"], registry=registry,
        )  # fmt: skip
        self._rejected_usd = Counter(
            "highwayman_cascade_rejected_usd", "Dollars of rejected answers, which are among highwayman_cost_usd",
            ["arm"], registry=registry,
        )  # fmt: skip
        # Both are set when they are asked for, and so by whichever process is asked.
        self._resting = Gauge(
            "highwayman_resting_endpoints", "Endpoints that rest after failures", ["arm"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self._chance = Gauge(
            "highwayman_chance_to_answer", "Of a call to answer at all, by those that ended lately", ["arm"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self._savings = self._savings_gauge(
            "savings_usd_per_request", "Saved beside the baseline, all costs of the router's included"
        )
        self._total_savings = self._savings_gauge("savings_usd", "Saved in all since the control slice began")
        self._quality_gain = self._savings_gauge("quality_gain", "Quality beyond the baseline's, of rated answers")
        self.refused = Counter("highwayman_refused", "Requests refused", ["code"], registry=registry)
        self._masked = Counter(
            "highwayman_masked", "Requests kept from arms", ["data_class", "rule"], registry=registry
        )
        self.feedback = Counter("highwayman_feedback", "Feedback accepted", ["metric"], registry=registry)
        self.judged = Counter(
            "highwayman_judged", "Answers drawn for the judge: a score, a preference, or why neither", ["came_to"],
            registry=registry,
        )  # fmt: skip
        self.answer_lookups = Counter(
            "highwayman_answer_lookups", "Stored answers looked for: exact, semantic, none", ["came_to"],
            registry=registry,
        )  # fmt: skip
        self._energy = Counter(
            "highwayman_energy_wh", "Watt-hours of requests, where they are known", ["arm"], registry=registry
        )
        self.shadowed = Counter(
            "highwayman_shadowed", "Requests drawn for an unseen second answer, by what came of it", ["came_to"],
            registry=registry,
        )  # fmt: skip
        self._delivery_outcomes = Counter(
            "highwayman_degraded_events",
            "Events that did not go to the log directly: spooled, drained, sent_again; lost where nothing took them, "
            "set_aside where they cannot be written",
            ["event", "fate"], registry=registry,
        )  # fmt: skip
        self.degraded = Counter(
            "highwayman_degraded_contexts", "Decisions without the text", ["flag"], registry=registry
        )
        self.policy_version = Gauge(
            "highwayman_policy_version", "Version in force", registry=registry, multiprocess_mode="livemin"
        )
        self._policy_lag = Gauge(
            "highwayman_policy_lag_seconds",
            "From the publication of the version in force to its coming into force",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._worth_exploring = Gauge(
            "highwayman_worth_its_exploration",
            "0 where the best constant arm earns more than the policy, as its lower bound shows, else 1",
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self._worth_exploring.set(1)
        self._challenger_share = Gauge(
            "highwayman_challenger_share", "Share of the traffic that a challenger decides for", ["challenger"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self._challengers: set[str] = set()  # that have had a share
        self._tasks = Gauge(
            "highwayman_tasks",
            "Tasks alive in the process that is asked; they grow with the requests under way, and go back",
            registry=registry,
            multiprocess_mode="mostrecent",
        )

        self._waiting = self._replica_gauge("requests_waiting", "Requests that a replica has not begun, as it says")
        self._running = self._replica_gauge("requests_running", "Requests that a replica works on, as it says")
        self._kv_cache = self._replica_gauge("kv_cache_usage_ratio", "Share of a replica's KV cache that is taken")
        self._first_token = self._replica_gauge("first_token_seconds", "What a replica's first tokens take of late")

    def _replica_gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(
            f"highwayman_replica_{name}", documentation, ["endpoint"], registry=self.registry,
            multiprocess_mode="livemostrecent",
        )  # fmt: skip

    def _savings_gauge(self, name: str, documentation: str) -> Gauge:
        """Return a gauge with an interval that holds at every scrape at once; it is set when it is asked for."""
        return Gauge(
            f"highwayman_{name}", documentation, ["tenant", "bound"], registry=self.registry,
            multiprocess_mode="livemostrecent",
        )  # fmt: skip

    def on_savings(self, tenant: str, report: SavingsReport) -> None:
        """Say what a tenant's control slice tells; NaN what is not known."""
        for gauge, difference in (
            (self._savings, report.saving_usd),
            (self._total_savings, report.total_usd),
            (self._quality_gain, report.quality),
        ):
            for bound in ("value", "low", "high"):
                known = getattr(difference, bound, None)
                gauge.labels(tenant, bound).set(math.nan if known is None else known)

    def on_replica_load(self, endpoint: str, state: ReplicaState | None) -> None:
        """Say what a replica has to do; NaN what is not known."""
        waiting, running = (state.waiting, state.running) if state is not None else (math.nan, math.nan)
        self._waiting.labels(endpoint).set(waiting)
        self._running.labels(endpoint).set(running)
        usage, first_token_s = (state.kv_cache_usage, state.first_token_s) if state is not None else (None, None)
        self._kv_cache.labels(endpoint).set(math.nan if usage is None else usage)
        self._first_token.labels(endpoint).set(math.nan if first_token_s is None else first_token_s)

    def on_outcome(self, decision: Decision, outcome: Outcome) -> None:
        """Count one finished request."""
        arm, child = outcome.arm, self._child
        child(self._requests, arm, decision.mode, outcome.status).inc()
        for call in outcome.calls:
            child(self._latency, call.arm).observe(call.latency_s)
            if call.ttft_s is not None:
                child(self._ttft, call.arm).observe(call.ttft_s)
            child(self._tokens, call.arm, "in").inc(call.tokens_in)
            child(self._tokens, call.arm, "out").inc(call.tokens_out)
            child(self._cost, call.arm).inc(call.cost_usd or 0.0)
        for stage in outcome.stages:
            child(self._stages, stage.arm, "rejected" if stage.went_on else "served").inc()
            if stage.went_on:
                child(self._rejected_usd, stage.arm).inc(stage.cost_usd or 0.0)
        if outcome.wh is not None:
            child(self._energy, arm).inc(outcome.wh)
        for attempt in outcome.tried:
            child(self._attempts, attempt.arm, attempt.ending).inc()
        if arm != decision.arm and all(stage.arm != decision.arm for stage in outcome.stages):
            self._failovers.labels(decision.arm).inc()

    def _child(self, metric: Counter | Histogram, *labels: str) -> Any:
        """Return what `metric.labels` does, which takes a while to look it up."""
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def on_decision(self, decision: Decision, seconds: float) -> None:
        """Count one decision and how long it took."""
        self.overhead.observe(seconds)
        for flag in decision.context.flags - _NOT_DEGRADED:
            if not flag.startswith(_TELLING):
                self.degraded.labels(flag).inc()

    def on_masked(self, clearance: Clearance) -> None:
        """Count a request that some arms may not have."""
        self._child(self._masked, clearance.data_class.label, clearance.rule).inc()

    def on_health(self, arm: str, *, resting: int, chance: float) -> None:
        """Say how many of an arm's endpoints rest, and how likely it answers."""
        self._resting.labels(arm).set(resting)
        self._chance.labels(arm).set(chance)

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
        self._policy_lag.set(lag_s)

    def on_delivery_outcome(self, delivery_outcome: str, kind: str) -> None:
        """Count what became of an event of this kind (d, o, f) that did not go to the log directly."""
        self._delivery_outcomes.labels(_EVENTS[kind], delivery_outcome).inc()

    def exposition(self, pending: PendingCounts | None = None) -> bytes:
        """Return everything in Prometheus' text format, summed over the processes that count together.

        `pending` is of the whole namespace, the same whichever process is asked; None: Redis did not tell.
        """
        self._tasks.set(_alive_tasks())
        registry = self.registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + (b"" if pending is None else _pending_exposition(pending))


def _pending_exposition(pending: PendingCounts) -> bytes:
    registry = CollectorRegistry()
    waiting = Gauge(
        "highwayman_feedback_waiting", "Feedback that waits for its decision, in the namespace", registry=registry
    )
    waiting.set(pending.waiting)
    held = Gauge(
        "highwayman_feedback_held_total",
        "Feedback that came without a decision, in the namespace, and what became of it: joined, expired, withdrawn",
        ["fate"],
        registry=registry,
    )
    for fate in ("held", "joined", "expired", "withdrawn"):
        held.labels(fate).set(getattr(pending, fate))
    return generate_latest(registry)


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
