"""How busy each replica is, and which models it serves, as far as it told or calls from here showed."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from highwayman.env.load.queueing import QueueState, shortest_queue
from highwayman.env.load.vllm_metrics import EngineReading
from highwayman.env.revision import Revision
from highwayman.env.types import Arm

_LISTED_S = 60.0  # for which a list of its models is
_MISSING_S = 30.0  # for which a model that it refused is not asked for there again, unless it lists it meanwhile
_HALF_LIFE_S = 10.0  # of what its first tokens took
_IN_STRIDE = 8.0  # requests side by side that slow each other down by less than a cold prompt cache costs
_MOST_ROUTERS = 16.0
_PRIOR_TOKENS = 1.0  # how many first tokens what they usually take is worth

ReplicaKey = tuple[float, ...]  # the smaller, the less busy


class CallCount:
    """A call that is counted as long as it is under way, or waits for its first byte; ends once."""

    __slots__ = ("_before_change", "_counts", "_endpoint", "_is_over")

    def __init__(self, counts: Counter[str], endpoint: str, before_change: Callable[[str], None] | None = None) -> None:
        """Count it among those of `endpoint`, which `before_change` is called with before the number is another."""
        self._counts, self._endpoint, self._before_change, self._is_over = counts, endpoint, before_change, False
        if before_change is not None:
            before_change(endpoint)
        counts[endpoint] += 1

    def end(self) -> None:
        """Note that it is over; again, nothing happens."""
        if not self._is_over:
            self._is_over = True
            if self._before_change is not None:
                self._before_change(self._endpoint)
            self._counts[self._endpoint] -= 1


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What is known of one replica's load now."""

    waiting: float
    running: float
    kv_cache_usage: float | None
    first_token_s: float | None  # what its first tokens take of late, None before any
    late_s: float  # by which that is more than what they usually take

    @property
    def key(self) -> ReplicaKey:
        """What replicas are compared by: who waits, who runs, whose cache is full."""
        return self.waiting, self.running, self.kv_cache_usage or 0.0


@dataclass(slots=True)
class _Reading:
    """The last one of a server, and the fading sums of its first tokens."""

    engine: EngineReading
    asked_at: float
    own: int  # calls from here that were under way when it was asked
    late_tokens_s: float = 0.0
    late_tokens: float = 0.0


class ReplicaLoads:
    """Of one router process: what servers said last, and its own calls since then."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        fresh_s: float = 5.0,
        before_change: Callable[[str], None] | None = None,
    ) -> None:
        """Take the clock, monotonic seconds, and for how long what a server said of its load is believed.

        `before_change` is called with an endpoint before another number of calls from here is under way there.
        """
        self._clock = clock
        self._before_change = before_change
        self._fresh_s = fresh_s
        self._readings: dict[str, _Reading] = {}
        self._routers = 1.0  # as which all that send requests count, this one among them
        self._own: Counter[str] = Counter()  # by endpoint: calls from here that are not over
        self._listed: dict[str, tuple[float, frozenset[str]]] = {}  # by endpoint: when, and the models
        self._missing: defaultdict[str, dict[str, float]] = defaultdict(dict)  # by endpoint and model: until when
        self.revision = Revision(clock, self._model_ends)  # of what endpoints may serve

    def on_call(self, endpoint: str) -> CallCount:
        """Count a call that is sent; end what is returned when its answer is over."""
        return CallCount(self._own, endpoint, self._before_change)

    def own_calls(self, endpoint: str) -> int:
        """Return how many calls from here are not over."""
        return self._own[endpoint]

    def on_reading(self, endpoint: str, engine: EngineReading, *, asked_at: float, own: int) -> None:
        """Take what a server says of itself; it was asked at `asked_at`, while `own` calls from here were under way."""
        last, now = self._readings.get(endpoint), _Reading(engine, asked_at, own)
        if last is not None and engine.first_tokens >= last.engine.first_tokens:  # otherwise it has started anew
            kept = 0.5 ** (max(asked_at - last.asked_at, 0.0) / _HALF_LIFE_S)
            took_s = max(engine.first_token_s - last.engine.first_token_s, 0.0)
            now.late_tokens_s = last.late_tokens_s * kept + took_s
            now.late_tokens = last.late_tokens * kept + engine.first_tokens - last.engine.first_tokens
        self._readings[endpoint] = now
        self._routers = self._all_to_own()

    def _all_to_own(self) -> float:
        """Return about how many times the calls from here all requests were when servers were asked last, at least 1.

        Those who send the others are likely to be routers that decide as this one does. If none reckoned with the rest,
        all would send all they have to the replica that was idle when they asked last.
        """
        readings = self._readings.values()
        requests = sum(reading.engine.waiting + reading.engine.running for reading in readings)
        return min(max((requests + 1.0) / (sum(reading.own for reading in readings) + 1.0), 1.0), _MOST_ROUTERS)

    def on_models(self, endpoint: str, models: Collection[str]) -> None:
        """Take the list of all that a server serves."""
        now, listed = self._clock(), frozenset(models)
        at, before = self._listed.get(endpoint, (-math.inf, frozenset()))
        self._listed[endpoint] = now, listed
        missing = [self._missing[endpoint].pop(model, None) for model in models]
        if listed != before or now - at > _LISTED_S or any(until is not None for until in missing):
            self.revision.advance()

    def on_model_missing(self, endpoint: str, model: str) -> None:
        """Note that a server said that it does not know a model."""
        self._missing[endpoint][model] = self._clock() + _MISSING_S
        self.revision.advance()

    def _model_ends(self) -> Iterator[float]:
        """Yield until when what is known of the models at each endpoint is believed."""
        yield from (at + _LISTED_S for at, _ in self._listed.values())
        yield from (until for models in self._missing.values() for until in models.values())

    def serves(self, endpoint: str, model: str) -> bool:
        """Return whether a server may serve `model`: nothing says that it does not."""
        if self._clock() < self._missing[endpoint].get(model, -math.inf):
            return False
        at, models = self._listed.get(endpoint, (-math.inf, frozenset()))
        return self._clock() - at > _LISTED_S or model in models

    def serving(self, arm: Arm) -> tuple[str, ...]:
        """Return the arm's endpoints that may serve its model."""
        return tuple(endpoint for endpoint in arm.endpoints if self.serves(endpoint, arm.model))

    def state(self, endpoint: str) -> ReplicaState | None:
        """Return a replica's load: what it said last, with the calls from here since then; None if that is stale.

        Calls beyond those it works on now have to wait where others wait, and run where none does.
        """
        reading = self._readings.get(endpoint)
        if reading is None or self._clock() - reading.asked_at > self._fresh_s:
            return None
        engine = reading.engine
        since = (self._own[endpoint] - reading.own) * self._routers
        requests = max(engine.waiting + engine.running + since, 0.0)
        running = min(requests, engine.running) if engine.waiting > 0 else requests
        late_s, first_token_s = 0.0, None
        if engine.first_tokens:
            usual_s = engine.first_token_s / engine.first_tokens
            first_token_s = (reading.late_tokens_s + _PRIOR_TOKENS * usual_s) / (reading.late_tokens + _PRIOR_TOKENS)
            late_s = first_token_s - usual_s
        return ReplicaState(requests - running, running, engine.kv_cache_usage, first_token_s, late_s)

    def busy(self, endpoints: Sequence[str]) -> Callable[[str], ReplicaKey]:
        """Return what orders replicas by how busy they are.

        Where one of them has not said so of late, all are compared by the calls from here: one that is too busy to tell
        must not look idle.
        """
        states = self._states(endpoints)
        if states is None:
            return lambda endpoint: (self._own[endpoint],)
        return lambda endpoint: states[endpoint].key

    def overload(self, endpoints: Sequence[str]) -> Callable[[str], float] | None:
        """Return what says how much each replica has to do that a conversation should leave it for, None if unknown.

        That is a queue. As long as nobody has one, it is the requests beyond those that a batch takes in its stride.
        """
        states = self._states(endpoints)
        if states is None:
            return None
        if any(state.waiting for state in states.values()):
            return lambda endpoint: states[endpoint].waiting
        return lambda endpoint: max(states[endpoint].running - _IN_STRIDE, 0.0)

    def _states(self, endpoints: Sequence[str]) -> dict[str, ReplicaState] | None:
        """Return what is known of each, None where one of them does not tell."""
        states = {endpoint: state for endpoint in endpoints if (state := self.state(endpoint)) is not None}
        return states if len(states) == len(set(endpoints)) else None

    def queue(self, arm: Arm) -> QueueState | None:
        """Return what awaits the arm's next call at its least busy replica, None where one of them does not tell."""
        states = self._states(self.serving(arm)) or {}
        return shortest_queue(QueueState(state.waiting, state.running, state.late_s) for state in states.values())
