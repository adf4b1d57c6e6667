"""What Prometheus scrapes. Labels are arms, modes and statuses: never a prompt, never a person."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from highwayman.env.types import CLIENT_TASK, NO_EXPLORATION, RESTING_FLAG, SCRIPT_FLAG, Decision, Outcome

_LATENCY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_OVERHEAD_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where several processes count together; the library, too, looks at it

_EVENTS = {"d": "decision", "o": "outcome", "f": "feedback"}


class Metrics:
    """The counters of one router process, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
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
        # Both are set when they are asked for, and so by whichever process is asked.
        self._resting = Gauge(
            "highwayman_resting_endpoints", "Endpoints that rest after failures", ["arm"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self._chance = Gauge(
            "highwayman_chance_to_answer", "Of a call to answer at all, by those that ended lately", ["arm"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.refused = Counter("highwayman_refused", "Requests refused", ["code"], registry=registry)
        self.feedback = Counter("highwayman_feedback", "Feedback accepted", ["metric"], registry=registry)
        self.judged = Counter(
            "highwayman_judged", "Answers drawn for the judge: a score, a preference, or why neither", ["came_to"],
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

    def on_outcome(self, decision: Decision, outcome: Outcome) -> None:
        """Count one finished request."""
        arm = outcome.arm
        self._requests.labels(arm, decision.mode, outcome.status).inc()
        self._latency.labels(arm).observe(outcome.latency_s)
        if outcome.ttft_s is not None:
            self._ttft.labels(arm).observe(outcome.ttft_s)
        self._tokens.labels(arm, "in").inc(outcome.tokens_in)
        self._tokens.labels(arm, "out").inc(outcome.tokens_out)
        self._cost.labels(arm).inc(outcome.cost_usd or 0.0)
        for attempt in outcome.tried:
            self._attempts.labels(attempt.arm, attempt.ending).inc()
        if arm != decision.arm:
            self._failovers.labels(decision.arm).inc()

    def on_decision(self, decision: Decision, seconds: float) -> None:
        """Count one decision and how long it took."""
        self.overhead.observe(seconds)
        for flag in decision.context.flags - {NO_EXPLORATION, CLIENT_TASK}:
            if not flag.startswith((SCRIPT_FLAG, RESTING_FLAG)):
                self.degraded.labels(flag).inc()

    def on_health(self, arm: str, *, resting: int, chance: float) -> None:
        """Say how many of an arm's endpoints rest, and how likely it answers."""
        self._resting.labels(arm).set(resting)
        self._chance.labels(arm).set(chance)

    def on_version(self, version: int, lag_s: float) -> None:
        """Say which version is in force; where several processes count together, the oldest of theirs is shown."""
        self.policy_version.set(version)
        self._policy_lag.set(lag_s)

    def on_delivery_outcome(self, delivery_outcome: str, kind: str) -> None:
        """Count what became of an event of this kind (d, o, f) that did not go to the log directly."""
        self._delivery_outcomes.labels(_EVENTS[kind], delivery_outcome).inc()

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format, summed over the processes that count together."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def adopt_worker_metrics(worker: str) -> None:
    """Let the metrics that are made from now on go on where `worker`, whose process has ended, left off.

    By default a process counts under its id: each restart would leave files behind that every scrape reads.
    """
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]


def drop_live_gauges(worker: str, folder: Path) -> None:
    """Take what only a living process can say, the version in force, out of the shared folder."""
    mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]
