"""The call to a model server: replicas and other arms are tried until one says something, then no more."""

import asyncio
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from highwayman.env.errors import UpstreamError
from highwayman.env.json_pieces import PIECE_BYTES, dump_aside, parse_aside
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.profile import as_taken
from highwayman.env.pool.replica_order import replica_order
from highwayman.env.types import Arm, Attempt, JsonObject
from highwayman.env.upstream.answer_observer import NO_OBSERVER, AnswerObserver
from highwayman.env.upstream.answers.endings import Account, AttemptFailed, Ending
from highwayman.env.upstream.answers.lines import AnswerSizes
from highwayman.env.upstream.answers.self_consistency import full_usage, majority_vote, non_streaming
from highwayman.env.upstream.attempts.attempts import AttemptLog
from highwayman.env.upstream.attempts.overtaken import OVERTAKEN, last_answer, let_go, stop, within
from highwayman.env.upstream.attempts.retry_budget import RetryBudget
from highwayman.env.upstream.attempts.targets import Target, Targets
from highwayman.env.upstream.calls.reading import AnswerReader, as_whole
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.env.upstream.calls.sending import Sending, UpstreamTimeouts
from highwayman.env.upstream.calls.server_calls import ServerCalls

__all__ = ["Upstream", "UpstreamResponse", "UpstreamTimeouts"]

_CHAT_PATH = "/v1/chat/completions"
_BYTES_PER_TOKEN = 4
_TELLS_USAGE = {"include_usage": True}  # of a stream, where its caller has said nothing of it
_UNKNOWN_USUAL_S = 0.05  # to an answer of a server that nobody has timed yet


class Upstream:
    """Calls arms over one shared connection pool."""

    def __init__(
        self, health: EndpointHealth, clock: Callable[[], float], limits: UpstreamTimeouts | None = None,
        *, budget: RetryBudget | None = None, sizes: AnswerSizes | None = None, loads: ReplicaLoads | None = None,
        wall_clock: Callable[[], float] = time.time, observer: AnswerObserver = NO_OBSERVER,
    ) -> None:  # fmt: skip
        """Take where to note failures, a monotonic clock in seconds, and the time limits.

        Args:
            health: of the endpoints.
            clock: monotonic seconds.
            limits: the time limits.
            budget: of attempts after the first.
            sizes: how large answers may be.
            loads: how busy the replicas are; its calls are counted there.
            wall_clock: seconds since the epoch, for a Retry-After that is a date.
            observer: hears what answers tell of arms.
        """
        self._health = health
        self._clock = clock
        self._limits = limits or UpstreamTimeouts()
        self._budget = budget or RetryBudget()
        self._loads = loads or ReplicaLoads(clock)
        reader = AnswerReader(self._limits, clock, wall_clock, sizes=sizes)
        self._calls = ServerCalls(health, clock, self._limits, reader=reader, loads=self._loads)
        self._observer = observer
        self._under_way: set[asyncio.Task[UpstreamResponse]] = set()  # calls that no request waits for
        self._telling_no_usage: set[tuple[tuple[str, ...], str]] = set()  # endpoints and models that refuse to

    def follow(self, limits: UpstreamTimeouts) -> None:
        """Go on with other time limits, all but that of connecting."""
        self._limits = limits
        self._calls.follow(limits)

    def send_along(self, call_headers: Callable[[], Mapping[str, str]]) -> None:
        """Send with every call what is returned for it, such as within which trace it is."""
        self._calls.connections.call_headers = call_headers

    async def start(self) -> None:
        """Open the connection pool; needs a running event loop."""
        await self._calls.connections.start()

    async def close(self) -> None:
        """Close the connection pool."""
        for call in tuple(self._under_way):
            call.cancel()
        await self._calls.connections.close()

    def pending_calls(self, endpoint: str) -> int:
        """Return how many calls to `endpoint` have not had their first byte yet."""
        return self._calls.pending(endpoint)

    async def open(
        self,
        arms: Sequence[Arm],
        path: str,
        body_for: Callable[[Arm], JsonObject],
        *,
        tried: list[Attempt] | None = None,
        large: bool = False,
        affinity: str = "",
        needed_tokens: Callable[[Arm], int] | None = None,
        may_ask: Callable[[Arm], bool] | None = None,
    ) -> UpstreamResponse:
        """Return the first answer that begins, trying each arm's replicas in turn, the arms in the order given.

        Args:
            arms: who may answer; after one whose window is too small only those with a larger one are asked.
            path: upstream.
            body_for: returns what an arm is sent.
            tried: is given every attempt as it ends; the last one is that which answers, if one does.
            large: whether bodies are written down beside the event loop.
            affinity: names a conversation, which has replicas of its own that are asked before others.
            needed_tokens: returns what the request takes of an arm's window; None: it is guessed from its size.
            may_ask: returns whether an arm may be asked, as its turn comes; None: all may.

        Raises:
            UpstreamError: every attempt failed; says how many were made and why the last one failed.
        """
        attempts = AttemptLog([] if tried is None else tried, self._clock)
        until = self._clock() + self._limits.all_attempts_s
        self._budget.on_request()
        targets = Targets(arms, self._health, partial(self._in_order, affinity=affinity))
        sendings: dict[str, Sending] = {}
        try:
            while (target := targets.first) is not None:
                arm = target.arm
                if arm.name not in sendings and may_ask is not None and not may_ask(arm):
                    targets.keep(partial(operator.is_not, arm))
                    continue
                if arm.name not in sendings:
                    body = body_for(arm)
                    is_mute = (arm.endpoints, arm.model) in self._telling_no_usage
                    if is_mute and body.get("stream_options") == _TELLS_USAGE:
                        body = {name: value for name, value in body.items() if name != "stream_options"}
                    sendings[arm.name] = await _sending(path, body, until, arm=arm, large=large)
                    if large:
                        continue  # somebody else may have asked it meanwhile
                if attempts.tried and (self._clock() >= until or not self._budget.take()):
                    break
                sending, second = sendings[arm.name], targets.take(target)
                answer = await self._try(target, sending, second, attempts)
                if answer is None:
                    continue
                if sending.asks_usage and answer.refuses_to_tell_usage:
                    self._telling_no_usage.add((arm.endpoints, arm.model))  # its streams are metered by their text
                    del sendings[arm.name]
                    targets.give_back(target)
                    continue
                needed = needed_tokens(arm) if needed_tokens is not None else _needed_tokens(sending)
                if not self._is_refusal(answer, sending, needed, attempts):
                    return answer
                targets.keep(partial(_may_still_answer, attempts, arm))
            return await self._last(target, targets, attempts)
        finally:
            if attempts.overtaken:
                let_go(attempts, self._under_way)

    async def _try(
        self, target: Target, sending: Sending, second: Target | None, attempts: AttemptLog
    ) -> UpstreamResponse | None:
        """Return the answer of one server, None if it has none; all is on record.

        Where a `second` may be asked, none is waited for longer than is usual there; and one that has rested after
        failures only for as long as the second would take.
        """
        arm, endpoint = target.arm, target.endpoint
        attempts.begin(arm, endpoint)
        on_probe_end = self._health.begin_probe(endpoint, arm.model)
        is_probe = second is not None and on_probe_end is not None
        if is_probe or second is None:
            sending = replace(sending, is_probe=is_probe, is_patient=second is None)
        call = (self._calls.call if arm.profile.best_of == 1 else self._voted)(arm, endpoint, sending)
        try:
            answer: UpstreamResponse | None
            if second is not None and on_probe_end is not None:
                usual_s = self._calls.times.usual_s(second.endpoint, second.arm.model, stream=sending.stream)
                answer = await within(usual_s or _UNKNOWN_USUAL_S, target, call, on_probe_end, attempts=attempts)
            else:
                answer = await call
        except AttemptFailed as error:
            attempts.end(error.account)
            return None
        except BaseException:
            attempts.end(Account(Ending.CLIENT_LEFT))
            raise
        finally:
            if second is None and on_probe_end is not None:
                on_probe_end()
        attempts.end(OVERTAKEN if answer is None else answer.account)
        if answer is not None:
            answer.attempts = len(attempts.tried)
        return answer

    def _is_refusal(self, answer: UpstreamResponse, sending: Sending, needed: int, attempts: AttemptLog) -> bool:
        """Return whether another arm may do what this one says that it cannot; what it says of itself is told."""
        arm, account = answer.arm, answer.account
        if account.ending is Ending.WINDOW_TOO_SMALL:
            attempts.refused = answer
            self._observer.on_window_too_small(arm, account.window_tokens, needed)
        elif account.ending is Ending.TOOLS_REFUSED and sending.offers_tools:
            attempts.without_tools = answer
            self._observer.on_tools_refused(arm)
        elif account.others_may:
            attempts.declined = answer
        else:
            if account.ending is Ending.ANSWERED:
                self._observer.on_answered(arm, needed)
            return False
        return True

    @staticmethod
    async def _last(target: Target | None, targets: Targets, attempts: AttemptLog) -> UpstreamResponse:
        """Return what an overtaken call comes to; without one, what the last arm said of its window or of tools.

        Raises UpstreamError where it said no such thing, or where there is a `target`, whom nobody may ask any more.
        """
        answer = await last_answer(attempts)
        if answer is not None:
            return answer
        if target is not None:
            raise attempts.error()
        asked_rest = targets.asked_rest()
        if attempts.tried or asked_rest is None:
            return attempts.refusal()
        rest_s, status = asked_rest
        raise UpstreamError(
            "No model server may be asked now: each of them has asked to be left alone for a while.",
            status=status,
            attempts=0,
            retry_after_s=rest_s,
        )

    async def _voted(self, arm: Arm, endpoint: str, sending: Sending) -> UpstreamResponse:
        """Return what most of an arm's `best_of` answers say."""
        count, request = arm.profile.best_of, await parse_aside(sending.body)
        if (request.get("n") or 1) > 1:  # a caller who wants several answers gets them unvoted
            return await self._calls.call(arm, endpoint, sending)
        large = len(sending.body) > PIECE_BYTES
        single = replace(sending, body=await dump_aside(non_streaming(request), large=large), stream=False)
        calls = [asyncio.ensure_future(self._calls.call(arm, endpoint, single)) for _ in range(count)]
        try:
            answers = await asyncio.gather(*calls)
        finally:
            for call in calls:
                stop(call)
        refused = next((answer for answer in answers if answer.account.ending is not Ending.ANSWERED), None)
        if refused is not None:
            return refused
        voted = majority_vote([answer.answer for answer in answers])
        uncounted = sum(full_usage(answer.answer) is None for answer in answers)
        drawn = replace(answers[0], samples=count, uncounted=uncounted, first_byte_at=self._clock())
        return as_whole(drawn, voted, stream=sending.stream)

    def _in_order(self, arm: Arm, affinity: str) -> Sequence[str]:
        """Return the arm's endpoints as they are tried: those that serve its model, all of them if none is known to."""
        if len(arm.endpoints) == 1:
            return arm.endpoints
        endpoints = self._loads.serving(arm) or arm.endpoints
        may_ask = partial(self._health.may_ask, model=arm.model)
        busy, load = self._loads.busy(endpoints), self._loads.overload(endpoints) or self.pending_calls
        return replica_order(endpoints, is_up=may_ask, load=load, affinity=affinity, busy=busy)


async def _sending(path: str, body: JsonObject, until: float, *, arm: Arm, large: bool) -> Sending:
    """Return what an arm is sent, as its server takes it."""
    packed, stream = await dump_aside(as_taken(body, arm), large=large), bool(body.get("stream"))
    if path == _CHAT_PATH and arm.quirks.chat_path is not None:
        path = arm.quirks.chat_path
    return Sending(
        path,
        packed,
        stream,
        until,
        _answer_tokens(body),
        offers_tools="tools" in body and bool(body["tools"]),
        asks_usage="stream_options" in body and body["stream_options"] == _TELLS_USAGE,
    )


def _answer_tokens(body: JsonObject) -> int:
    """Return how many tokens the caller allows for an answer, all of its choices together; 0: no limit."""
    tokens = 0
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body and isinstance(body[name], int):
            tokens = max(tokens, body[name])
    return tokens * body["n"] if "n" in body and isinstance(body["n"], int) else tokens


def _needed_tokens(sending: Sending) -> int:
    """Return about how many tokens a request takes, its answer among them."""
    return len(sending.body) // _BYTES_PER_TOKEN + sending.answer_tokens


def _may_still_answer(attempts: AttemptLog, refused: Arm, arm: Arm) -> bool:
    """Return whether an arm may be asked after one that refused: another one, and large enough."""
    return arm is not refused and attempts.may_fit(arm)
