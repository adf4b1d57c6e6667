"""What is known of one call while it is under way, and the outcome that is made of it in the end."""

from highwayman.env.cost.usage import cost_usd, energy_wh
from highwayman.env.types import Arm, Attempt, Outcome, Status, Usage
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.answers.transcript import Transcript
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.serving.completions.calls.metering import UNUSED, MeteredUsage, given_up_usd
from highwayman.serving.completions.calls.observers import CompletedCall, CompletionObserver
from highwayman.serving.completions.calls.proxy_dependencies import ProxyDependencies
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.completions.routing.route import Route


class CallRecord:
    """The record of one request after its decision; whoever carries the request out writes it."""

    def __init__(self, dependencies: ProxyDependencies, request: CompletionRequest, route: Route, *, path: str) -> None:
        """Take the dependencies, the request and its route, and the upstream path."""
        self._dependencies = dependencies
        self._request = request
        self._route = route
        self._path = path
        self._arm: Arm = route.arms[0]
        self._tools_dropped = route.tools_dropped
        self._answer: UpstreamResponse | None = None
        self._status = Status.FAILED
        self._attempts = 1
        self._tried: list[Attempt] = []
        self._metered: MeteredUsage = UNUSED
        self._finish_reason: str | None = None
        self._transcript: Transcript | None = None
        self._transcript_for: tuple[CompletionObserver, ...] = ()
        self._started_at = dependencies.timer()
        self._concluded: UpstreamResponse | None = None  # the stream that has come to its end
        self._over_at: float | None = None  # when the client had all of it
        self._power_mark = dependencies.power.mark() if dependencies.power is not None else None

    @property
    def _prompt_tokens(self) -> int:
        return self._route.decision.context.prompt_tokens

    def _end_attempt(self, ending: Ending, why: str = "") -> None:
        """Settle how the attempt ended that had answered, or begun to."""
        last = self._tried[-1] if self._tried else None
        if self._answer is None or last is None or last.ending != Ending.ANSWERED:
            return
        seconds = self._dependencies.timer() - self._answer.sent_at
        self._tried[-1] = Attempt(last.arm, last.endpoint, seconds, str(ending), why)

    def _given_up_usd(self) -> float:
        """Return the dollars of the attempts that were given up before they said anything."""
        silent = self._tried if self._answer is None else self._tried[:-1]
        return given_up_usd(silent, self._route.arms, prompt_tokens=self._prompt_tokens) if silent else 0.0

    def _outcome(self) -> Outcome:
        """Return what came of the call, as far as it got."""
        decision, answer, now = self._route.decision, self._answer, self._over_at or self._dependencies.timer()
        usage, usd = self._metered.usage, cost_usd(self._arm, self._metered.usage)
        lost_usd = self._given_up_usd()
        return Outcome(
            decision_id=decision.id,
            at=self._dependencies.clock(),
            arm=self._arm.name,
            status=self._status,
            prompt_tokens=decision.context.prompt_tokens,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            cost_usd=(usd or 0.0) + lost_usd if lost_usd else usd,
            ttft_s=answer.first_byte_at - answer.sent_at if answer else None,
            latency_s=now - (answer.sent_at if answer else self._started_at),
            finish_reason=self._finish_reason,
            attempts=self._attempts,
            tried=tuple(self._tried),
            tokens_cached=usage.tokens_cached,
            estimated=self._metered.estimated or lost_usd > 0.0,
            tools_dropped=self._tools_dropped,
            wh=self._energy_wh(usage),
        )

    def _energy_wh(self, usage: Usage) -> float | None:
        """Return the energy as measured; after other attempts, and where nobody measures, by the coefficient."""
        power, measured = self._dependencies.power, None
        if power is not None and self._power_mark is not None and self._answer is not None and self._attempts == 1:
            measured = power.used_wh(self._arm, self._power_mark)
        return energy_wh(self._arm, usage) if measured is None else measured

    def _log_outcome(self, outcome: Outcome) -> None:
        """Put the outcome on the log, behind its decision: the journal keeps the order. Then observers look at it."""
        dependencies = self._dependencies
        dependencies.metrics.on_outcome(self._route.decision, outcome)
        logged = dependencies.journal.submit(outcome, may_wait=True)
        if dependencies.observers:
            completed = CompletedCall(
                self._request, self._route.decision, outcome, self._transcript, self._transcript_for
            )
            logged.add_done_callback(lambda _: dependencies.observers.notify(completed))
        dependencies.background.await_in_the_end(logged)
