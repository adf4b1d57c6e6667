"""Every metric that a router exports: its name, what it means, its labels. Docs and checks are made from this table."""

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Upstream calls: from what a stored answer takes to what a long one of a large model does.
_CALL_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_DECISION_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
_DELAY_S: Final = (0.005, 1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0, 72 * 3600.0, 168 * 3600.0)
_PROBABILITY: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.0)

# How the workers of one router come together in a gauge; those that are set when they are asked for are set by
# whichever process is asked.
Merge = Literal["livemostrecent", "livemin", "livemax", "livesum", "mostrecent"]
_ASKED: Final[Merge] = "livemostrecent"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric, under the name that it is made with: a counter's ends in _total when it is shown."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Merge = _ASKED

    @property
    def shown(self) -> str:
        """The name in a query; of a histogram that of its three series begins like this."""
        return self.name + "_total" if self.kind == "counter" else self.name

    def make(self, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
        """Return it, registered."""
        if self.kind == "counter":
            return Counter(self.name, self.meaning, self.labels, registry=registry)
        if self.kind == "gauge":
            return Gauge(self.name, self.meaning, self.labels, registry=registry, multiprocess_mode=self.merge)
        return Histogram(self.name, self.meaning, self.labels, registry=registry, buckets=self.buckets)


def _counter(name: str, meaning: str, *labels: str) -> Family:
    return Family(f"highwayman_{name}", "counter", meaning, labels)


def _gauge(name: str, meaning: str, *labels: str, merge: Merge = _ASKED) -> Family:
    return Family(f"highwayman_{name}", "gauge", meaning, labels, merge=merge)


def _histogram(name: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> Family:
    return Family(f"highwayman_{name}", "histogram", meaning, labels, buckets)


_REQUESTS: Final = (
    _counter("requests", "Requests that an arm was asked for, by the arm that served, and how the call ended",
             "arm", "mode", "status"),
    _counter("request_errors", "Requests that the router answered with an error of its own", "code"),
    _gauge("requests_in_flight", "Completions under way", merge="livesum"),
    _histogram("latency_seconds", "Whole upstream calls, from sending to the answer's end", "arm", buckets=_CALL_S),
    _histogram("time_to_first_token_seconds", "From sending upstream to its first meaningful event", "arm",
               buckets=_CALL_S),
    _histogram("decision_seconds", "The router's overhead: from the request's last byte to its decision",
               buckets=_DECISION_S),
    _counter("tokens", "Tokens metered: in, out", "arm", "direction"),
    _counter("cost_usd", "Dollars metered", "arm"),
    _counter("energy_wh", "Watt-hours of requests, where they are known", "arm"),
    _counter("failovers", "Answers by another arm than intended", "arm"),
    _counter("attempts", "Calls of arms, by how each ended", "arm", "ending"),
    _counter("cascade_stages", "Answers that a cascade looked at, and what became of each: served, rejected",
             "arm", "fate"),
    _counter("cascade_rejected_usd", "Dollars of rejected answers, which are among highwayman_cost_usd", "arm"),
    _counter("masked", "Requests kept from arms by the rules of privacy", "data_class", "rule"),
    _counter("answer_lookups", "Stored answers looked for: exact, semantic, none", "came_to"),
)  # fmt: skip
_DECISIONS: Final = (
    _counter("decisions", "Decisions, by the arm intended", "arm", "mode"),
    _histogram("propensity", "Probability of the arm that was drawn; of routed and cascaded requests", "arm",
               buckets=_PROBABILITY),
    _counter("degraded_contexts", "Decisions on less than the whole context, by what is missing", "flag"),
    _counter("conversation_switches", "Turns that went to another arm than the turn before, by the new arm", "arm"),
    _gauge("exploration_regret_per_request",
           "Expected quality minus penalty lost to exploration, by the policy's own beliefs; latest requests of the "
           "process that is asked"),
    _gauge("exploration_usd_per_request",
           "Dollars expected beyond the best-looking arm's, below 0 where exploring is cheaper; latest requests of "
           "the process that is asked"),
    _gauge("explored_ratio", "Share of the latest requests whose arm did not look best to the policy in force"),
    _gauge("challenger_share", "Share of the traffic that a challenger decides for", "challenger"),
    _gauge("worth_its_exploration",
           "0 where the best constant arm earns more than the policy, as its lower bound shows, else 1",
           merge="livemin"),
)  # fmt: skip
_LEARNING: Final = (
    _gauge("quality_estimate", "Quality that the policy expects of an arm, mean over the latest requests", "arm"),
    _gauge("quality_deviation", "Standard deviation of that belief, not of single answers; mean likewise", "arm"),
    _gauge("reward", "Mean quality of rated answers over the whole log, with its 95% interval: value, low, high",
           "arm", "bound"),
    _gauge("rated_answers", "Answers with feedback, over the whole log", "arm"),
    _gauge("feedback_coverage_ratio", "Share of an arm's decisions that have feedback, over the whole log", "arm"),
    _counter("feedback", "Feedback accepted", "metric"),
    _histogram("feedback_delay_seconds", "From a decision to feedback on it", "metric", buckets=_DELAY_S),
    _counter("judged", "Answers drawn for the judge: a score, a preference, or why neither", "came_to"),
    _counter("shadowed", "Requests drawn for an unseen second answer, by what came of it", "came_to"),
    _gauge("policy_version", "Version in force", merge="livemin"),
    _gauge("policy_lag_seconds", "From the publication of the version in force to its coming into force",
           merge="livemax"),
    _gauge("learner_lag_seconds", "For how long the oldest event that is not in the version in force has waited"),
    _gauge("savings_usd_per_request", "Saved beside the baseline, all costs of the router's included",
           "tenant", "bound"),
    _gauge("savings_usd", "Saved in all since the control slice began", "tenant", "bound"),
    _gauge("quality_gain", "Quality beyond the baseline's, of rated answers", "tenant", "bound"),
)  # fmt: skip
_HEALTH: Final = (
    _gauge("resting_endpoints", "Endpoints that rest after failures, as the process that is asked knows", "arm"),
    _gauge("chance_to_answer", "Of a call to answer at all, by those that ended lately", "arm"),
    _gauge("replica_requests_waiting", "Requests that a replica has not begun, as it says", "endpoint"),
    _gauge("replica_requests_running", "Requests that a replica works on, as it says", "endpoint"),
    _gauge("replica_kv_cache_usage_ratio", "Share of a replica's KV cache that is taken", "endpoint"),
    _gauge("replica_first_token_seconds", "What a replica's first tokens take of late", "endpoint"),
    _counter("degraded_events",
             "Events that did not go to the log directly: spooled, drained, sent_again; lost where nothing took them, "
             "set_aside where they cannot be written", "event", "fate"),
    _gauge("spooled_events", "Events on this machine's disk that wait for Redis", merge="livesum"),
    _gauge("config_last_reload_successful", "Whether the last reload of configuration and pool was taken",
           merge="livemin"),
    _gauge("config_last_reload_success_timestamp_seconds", "When the configuration in force was taken, s since 1970",
           merge="livemin"),
    _gauge("tasks", "Tasks alive in the process that is asked; they grow with the requests under way, and go back",
           merge="mostrecent"),
)  # fmt: skip
FAMILIES: Final = (*_REQUESTS, *_DECISIONS, *_LEARNING, *_HEALTH)

WAITING: Final = Family(
    "highwayman_feedback_waiting", "gauge", "Feedback that waits for its decision, in the namespace"
)
HELD: Final = Family(
    "highwayman_feedback_held", "counter",
    "Feedback that came without a decision, in the namespace, and what became of it: joined, expired, withdrawn",
    ("fate",),
)  # fmt: skip
MADE_AT_SCRAPE: Final = (WAITING, HELD)  # of what is counted in Redis

# What was called otherwise before is shown under its old name, too, for one release.
OLD_NAMES: Final = {
    "highwayman_time_to_first_token_seconds": "highwayman_time_to_first_byte_seconds",
    "highwayman_request_errors": "highwayman_refused",
}
