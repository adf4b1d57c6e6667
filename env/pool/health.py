"""Which endpoints answer for which model, learned from the calls themselves."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

_FIRST_REST_S = 1.0
_LONGEST_REST_S = 30.0
_MOST_DOUBLINGS = 10  # far beyond the longest rest; without an end, 2.0**1024 would overflow after a long outage
_RECENT = 0.95  # weight of the past in the failure rate, per answer: about the last 20
_LEAST_FAILURE_RATE = 0.1  # below which a failure is bad luck
_UNKNOWN_LATE_S = 30.0
_EXPERIENCE = 10  # answers, of whomever, from which on those are mistrusted who have never given one
_MOST_VICTIMS = 5  # calls that may wait for too long at a time, before the next one goes elsewhere
_SUSPECT_CALLS = 3  # that wait for a model or whatever it is: fewer, in both counts, do not come to so many


@dataclass(slots=True)
class _State:
    """What is known of one model at one endpoint; times by the clock."""

    rests: int = 0  # since it last answered to the end
    until: float = -math.inf  # it rests after failures
    asked_until: float = -math.inf  # it rests since its server asked for it
    asked_status: int = 503  # with which it did
    opened_at: float = -math.inf  # when it was last known to be well again
    half_open: bool = False  # it has rested, and nothing has come of it since
    probes: int = 0  # calls under way that find out
    answered: float = 0.0  # fading counts
    failed: float = 0.0
    has_answered: bool = False
    # By call that waits: when it has waited for too long. None: nobody knows, as it has never answered.
    late_at: dict[int, float | None] = field(default_factory=dict)
    none_late_before: float = math.inf  # of them

    def rests_at(self, now: float) -> bool:
        """Return whether it is left alone."""
        return now < self.until or now < self.asked_until

    def is_suspect(self, now: float) -> bool:
        """Return whether it may not be asked, or might not be before long: there is more to look at."""
        return self.rests_at(now) or self.probes > 0 or len(self.late_at) >= _SUSPECT_CALLS

    def well_until(self, now: float) -> float:
        """Return until when it may be asked, whatever time alone makes of the calls that wait."""
        if self.rests_at(now) or self.probes > 0:
            return -math.inf
        return self.none_late_before if len(self.late_at) >= _SUSPECT_CALLS else math.inf

    def count(self, *, failed: bool) -> None:
        """Add an answer to the failure rate."""
        self.answered = _RECENT * self.answered + (not failed)
        self.failed = _RECENT * self.failed + failed

    @property
    def is_outlier(self) -> bool:
        """Whether it fails so often that it had better rest."""
        return self.half_open or self.failed > _LEAST_FAILURE_RATE * (self.answered + self.failed)


_UNKNOWN = _State()  # never written to
_Entry = TypeVar("_Entry")


class _Table(dict[tuple[str, str], _Entry]):
    """What is kept by endpoint and model, each entry made when it is looked up first."""

    def __init__(self, make: Callable[[str, str], _Entry]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: tuple[str, str]) -> _Entry:
        entry = self[key] = self._make(*key)
        return entry


class _Waiting:
    """A block in which a call waits; a generator would take twice as long to be one."""

    __slots__ = ("_call", "_late_at")

    def __init__(self, late_at: dict[int, float | None], call: int) -> None:
        self._late_at, self._call = late_at, call

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        del self._late_at[self._call]


class EndpointHealth:
    """Rests a model at an endpoint after a failure, twice as long after each further one; an answer clears it.

    As outlier ejection and circuit breakers do (Envoy; Nygard, "Release It!", 2007): a rest is followed by one call
    that finds out, and others go elsewhere meanwhile. A failure among many answers is bad luck, and rests nobody. What
    is known counts for a model at an endpoint: a server that has lost one of its adapters serves the others. A `model`
    that is left out means whatever is served there.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take the clock, in seconds from any origin."""
        self._clock = clock
        self._states: dict[str, dict[str, _State]] = {}  # by endpoint and model
        self._own = _Table(self._first_state)  # the same by both; to look one up is to have it written to
        self._known = _Table(self._states_of)  # all that is known, by endpoint and model
        self._suspects: set[str] = set()  # endpoints that may be out: no other is
        self._well_until = math.inf  # none of them is before, unless something more becomes of one
        self._calls = 0
        self._answers = 0

    def is_up(self, endpoint: str, model: str = "") -> bool:
        """Return whether it does not rest; after its rest it is up again until it fails again."""
        now = self._clock()
        return not any(state.rests_at(now) for state in self._known[endpoint, model])

    def suspects(self) -> tuple[str, ...]:
        """Return the endpoints where there is any model that may not be asked for; elsewhere, all may."""
        if not self._suspects:
            return ()
        now = self._clock()
        if now < self._well_until:
            return ()
        self._suspects = {
            endpoint
            for endpoint in self._suspects
            if any(state.is_suspect(now) for state in self._states.get(endpoint, {}).values())
        }
        states = (state for endpoint in self._suspects for state in self._states[endpoint].values())
        self._well_until = min((state.well_until(now) for state in states), default=math.inf)
        return tuple(self._suspects) if now >= self._well_until else ()

    def may_ask(self, endpoint: str, model: str) -> bool:
        """Return whether a call may go there now, as long as there is anywhere else to go.

        Not while it rests, nor while another call finds out whether it is well again, nor while many wait in vain.
        """
        if endpoint not in self._suspects or self._clock() < self._well_until:
            return True
        is_out, late = self.standing(endpoint, model)
        return not is_out and late < _MOST_VICTIMS

    def standing(self, endpoint: str, model: str) -> tuple[bool, int]:
        """Return whether it is out, after failures, and how many calls wait there in vain: less is better."""
        now, is_out, late = self._clock(), False, 0
        for state in self._known[endpoint, model]:
            is_out = is_out or state.rests_at(now) or state.probes > 0
            late += self._late_calls(state, now)
        return is_out, late

    def _late_calls(self, state: _State, now: float) -> int:
        """Return how many calls have waited for too long: at one who never answered, as soon as others have, all do."""
        if now < state.none_late_before:
            return 0
        times = state.late_at.values()
        state.none_late_before = min((-math.inf if at is None else at for at in times), default=math.inf)
        is_unknown = self._answers >= _EXPERIENCE and not state.has_answered
        return sum(is_unknown if late_at is None else late_at <= now for late_at in times)

    def begin_probe(self, endpoint: str, model: str) -> Callable[[], None] | None:
        """Return what to call at the end of a call that finds out whether it is well again; None: that is not asked."""
        for known in self._known[endpoint, model]:
            if known.half_open:
                break
        else:
            return None
        state, ended = self._own[endpoint, model], False
        state.probes += 1
        self._suspect(endpoint)

        def end() -> None:
            nonlocal ended
            state.probes -= not ended
            ended = True

        return end

    def asked_rest(self, endpoint: str, model: str) -> tuple[float, int]:
        """Return for how many seconds its server still wants to be left alone (0: it does not), and its status."""
        state = max(self._known[endpoint, model], key=lambda state: state.asked_until, default=_UNKNOWN)
        return max(state.asked_until - self._clock(), 0.0), state.asked_status

    def waiting(self, endpoint: str, model: str, *, late_s: float | None) -> "_Waiting":
        """Count a call that waits for an answer until the block ends; from `late_s` seconds on it does so in vain.

        None: nobody knows how long is long. Who has never answered then gets a few calls at a time.
        """
        state = self._own[endpoint, model]
        self._calls = call = self._calls + 1
        if late_s is None and state.has_answered:
            late_s = _UNKNOWN_LATE_S
        state.late_at[call] = late_at = None if late_s is None else self._clock() + late_s
        if late_at is None or late_at < state.none_late_before:
            state.none_late_before = -math.inf if late_at is None else late_at
        if len(state.late_at) >= _SUSPECT_CALLS:
            if endpoint not in self._suspects:
                self._suspects.add(endpoint)
            self._well_until = min(self._well_until, state.none_late_before)
        return _Waiting(state.late_at, call)

    def _suspect(self, endpoint: str) -> None:
        """Have an endpoint looked at whenever somebody asks."""
        self._suspects.add(endpoint)
        self._well_until = -math.inf

    def on_failure(
        self,
        endpoint: str,
        rest_s: float | None = None,
        *,
        model: str = "",
        status: int | None = None,
        begun_at: float = math.inf,
    ) -> None:
        """Rest it for a while. Calls that were under way before it rested, or was well again, say nothing new.

        Args:
            endpoint: base URL.
            rest_s: for which its server asked to be left alone, if it did.
            model: that was asked for.
            status: with which it did.
            begun_at: when the call was sent. A call that finds out has had others wait already.
        """
        state, now = self._own[endpoint, model], self._clock()
        self._suspect(endpoint)
        is_new = not state.rests_at(now) and begun_at >= state.opened_at
        if is_new:
            state.count(failed=True)
        if rest_s is not None:
            state.asked_until = max(now + rest_s, state.asked_until)
            state.asked_status = status or state.asked_status
            state.half_open = True
        elif is_new and state.is_outlier:
            rest = min(_FIRST_REST_S * 2 ** min(state.rests, _MOST_DOUBLINGS), _LONGEST_REST_S)
            waited = max(now - begun_at, 0.0) if state.probes else 0.0
            state.until, state.half_open = now + max(rest - waited, _FIRST_REST_S), True
            state.rests += 1

    def on_begun(self, endpoint: str, model: str) -> None:
        """Note that it has begun to answer: it may be asked, but what it failed is forgotten when it has ended well."""
        self._own[endpoint, model].has_answered = True
        self._on_answer(self._known[endpoint, model])

    def _on_answer(self, states: list[_State]) -> None:
        self._answers += 1
        for state in states:
            state.has_answered = True
            if state.half_open:
                state.opened_at = self._clock()
            state.until, state.half_open = -math.inf, False

    def on_success(self, endpoint: str, model: str = "") -> None:
        """Forget its failures; a rest that its server asked for is not over."""
        self._own[endpoint, model].count(failed=False)
        states = self._known[endpoint, model]
        self._on_answer(states)
        for state in states:
            state.rests = 0

    def _states_of(self, endpoint: str, model: str) -> list[_State]:
        states = self._states.get(endpoint, {})
        return list(states.values()) if not model else [states[name] for name in ("", model) if name in states]

    def _first_state(self, endpoint: str, model: str) -> _State:
        state = self._states.setdefault(endpoint, {})[model] = _State()
        self._known.clear()
        return state
