"""A decided request whose answer may be looked at before anybody sees it, and whose arm may then be another one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from highwayman.bandit.cascade.plan import LookedAt, StageChoice
from highwayman.env.confidence.signal import FinishedAnswer
from highwayman.env.cost.usage import cost_usd
from highwayman.env.errors import NoEligibleArm, UpstreamError
from highwayman.env.types import Arm, Outcome, Status, Usage
from highwayman.env.upstream.answers.answer_assembly import AnswerAssembly, without_logprobs
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.answers.sse import SseRewriter
from highwayman.env.upstream.answers.transcript import Transcript
from highwayman.env.upstream.calls.reading import as_whole
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.serving.completions.calls.metering import UNUSED, MeteredUsage
from highwayman.serving.completions.calls.observers import CompletionObserver
from highwayman.serving.completions.calls.proxy_dependencies import ProxyDependencies
from highwayman.serving.completions.held_messages import HeldMessages
from highwayman.serving.completions.proxy import ProxiedCompletion
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.completions.routing.cascades import CascadeRoute
from highwayman.serving.completions.routing.route import Route
from highwayman.serving.completions.stage_costs import StageCosts
from highwayman.serving.http.asgi import Headers, Send


@dataclass(frozen=True, slots=True)
class _Rejected:
    """An answer that lies there while another arm is asked: it is served where nobody else answers."""

    held: HeldMessages
    answer: UpstreamResponse
    metered: MeteredUsage
    finish_reason: str | None
    transcript: Transcript | None
    transcript_for: tuple[CompletionObserver, ...]
    look_usd: list[float | None]


class CascadedCompletion(ProxiedCompletion):
    """The life of one request that may be answered by a cascade, after the decision of whom to ask first.

    An answer that is looked at is held: its status, its headers and all of it. A rejected one is dropped, so nothing of
    it, no call of a tool either, reaches the client. One that is not looked at passes through as it comes, and tells
    afterwards what it would have told: so a gate learns before any cascade is worth it.
    """

    def __init__(
        self,
        dependencies: ProxyDependencies,
        request: CompletionRequest,
        route: Route,
        cascade: CascadeRoute,
        *,
        path: str,
    ) -> None:
        """Take what every call takes, and what the later stages are decided with."""
        super().__init__(dependencies, request, route, path=path)
        self._cascade = cascade
        self._answered: list[LookedAt] = []
        self._costs = StageCosts()
        self._rejected: _Rejected | None = None
        self._held: HeldMessages | None = None  # of the answer that comes now, where it is to be looked at
        self._assembly: AnswerAssembly | None = None
        self._finished: FinishedAnswer | None = None
        self._widens = True  # whether something is added to what the caller asks
        self._first_sent_at: float | None = None
        self._released_at: float | None = None

    async def _ask_arms(self, arms: Sequence[Arm]) -> UpstreamResponse:
        """Return the first answer that begins; of a server that refuses what was added, one without it."""
        answer = await super()._ask_arms(arms)
        if answer.account.ending is not Ending.CALLERS_FAULT or not self._is_widened(answer.arm):
            return answer
        answer.close()
        self._widens = False
        again = await super()._ask_arms([answer.arm, *(arm for arm in arms if arm is not answer.arm)])
        if again.account.ending is Ending.ANSWERED and again.arm is answer.arm:
            self._cascade.reader.on_refused(answer.arm)
        return again

    def _body_for(self, arm: Arm) -> dict[str, object]:
        body = super()._body_for(arm)
        return self._cascade.reader.widened(body, arm) if self._widens else body

    def _is_widened(self, arm: Arm) -> bool:
        return self._body_for(arm) != super()._body_for(arm)

    async def _pass_on(self, send: Send, answer: UpstreamResponse) -> None:
        following: UpstreamResponse | None = answer
        while following is not None:
            following = await self._stage(send, following)

    async def _stage(self, send: Send, answer: UpstreamResponse) -> UpstreamResponse | None:
        """Serve an answer, and return None; or return that of the arm that is asked instead."""
        asked = [looked.arm for looked in self._answered]
        is_answer = answer.account.ending is Ending.ANSWERED
        is_held = is_answer and self._cascade.looks_at(answer.arm.name, answered=asked)
        self._begin(answer, is_read=is_held or (is_answer and not asked))
        if not is_held:
            await super()._pass_on(send, answer)
            return None
        held = self._held = HeldMessages(send)
        try:
            await super()._pass_on(held, answer)
        except UpstreamError as error:  # it broke off, and nobody has seen anything of it
            return await self._after_break(error)
        finally:
            self._held = None
        if held.is_released:  # as it grew too large
            return None
        return await self._settle(held, answer)

    def _begin(self, answer: UpstreamResponse, *, is_read: bool) -> None:
        """Prepare for an answer: one that is read is kept, and its log probabilities from who asked for none."""
        if self._first_sent_at is None:
            self._first_sent_at = answer.sent_at
        self._assembly = self._finished = None
        if not is_read:
            return
        hides = not self._request.body.get("logprobs")
        if not isinstance(answer.answer, dict):
            self._assembly = AnswerAssembly(hides_logprobs=hides)
            return
        self._finished = FinishedAnswer(self._request.body, answer.answer)
        silent = without_logprobs(answer.answer) if hides else None
        if silent is not None:
            as_whole(answer, silent, stream=self._request.stream)

    async def _settle(self, held: HeldMessages, answer: UpstreamResponse) -> UpstreamResponse | None:
        """Look at an answer that lies there; serve it, or return that of the arm that is asked instead."""
        seconds = self._dependencies.timer() - answer.sent_at
        signals = await self._cascade.reader.look(
            self._finished_answer(),
            answer.arm,
            prompt_tokens=self._prompt_tokens,
            on_cost=self._costs.look_usd.append,
            may_ask=partial(self._cascade.may_ask, spent_usd=self._spent_usd() or 0.0),
            clearance=self._request.query.clearance,
        )
        self._answered.append(LookedAt(answer.arm.name, signals))
        failed = [attempt.arm for attempt in self._tried if attempt.ending != Ending.ANSWERED]
        choice = self._cascade.next_stage(self._answered, spent_usd=self._spent_usd() or 0.0, failed=failed)
        self._costs.stages.append(self._costs.stage(choice, self._arm, self._metered.usage, seconds=seconds))
        following = await self._ask_next(held, answer, choice) if choice.went_on else None
        if following is None:
            await self._serve(held, went_on=choice.went_on)
        return following

    async def _serve(self, held: HeldMessages, *, went_on: bool) -> None:
        """Serve the answer looked at last, also where another arm was to be asked: there was nobody, as it is."""
        if went_on:
            self._costs.stages[-1] = replace(self._costs.stages[-1], goes_on=0.0, went_on=False, next_arm="")
        self._released_at = self._dependencies.timer()
        await held.release()

    async def _ask_next(
        self, held: HeldMessages, answer: UpstreamResponse, choice: StageChoice
    ) -> UpstreamResponse | None:
        """Return the answer of the next arm, None where it has none: then all is as it was before."""
        rejected = _Rejected(
            held,
            answer,
            self._metered,
            self._finish_reason,
            self._transcript,
            self._transcript_for,
            self._costs.look_usd,
        )
        following = next(arm for arm in self._route.arms if arm.name == choice.next_arm)
        self._cascade.reserve(self._route.decision.id, following.name, spent_usd=self._spent_usd() or 0.0)
        self._clear(following)
        self._widens = self._widens and len(self._answered) + 1 < self._cascade.plan.rules.max_stages
        try:
            begun = await self._ask_arms([following])
        except (UpstreamError, NoEligibleArm):
            self._restore(rejected)
            return None
        if begun.account.ending is not Ending.ANSWERED:
            begun.close()
            self._restore(rejected)
            return None
        self._rejected = rejected
        self._take(begun)
        return begun

    async def _after_break(self, error: UpstreamError) -> UpstreamResponse | None:
        """Return the answer of another arm, or serve the one rejected last; raise the error where there is neither."""
        lost_usd = cost_usd(self._arm, self._metered.usage)
        if self._rejected is not None:
            self._costs.lost_usd.append(lost_usd)
            self._restore(self._rejected)
            await self._serve(self._rejected.held, went_on=True)
            return None
        failed = {attempt.arm for attempt in self._tried if attempt.ending != Ending.ANSWERED}
        others = [arm for arm in self._route.arms if arm.name not in failed]
        if not others:
            raise error
        self._costs.lost_usd.append(lost_usd)
        self._clear(others[0])
        begun = await self._ask_arms(others)
        self._take(begun)
        return begun

    def _conclude(self, answer: UpstreamResponse) -> None:
        super()._conclude(answer)
        if self._held is not None and not self._held.is_released:
            self._over_at = None  # nobody has seen anything of it

    def _clear(self, arm: Arm) -> None:
        """Forget the answer that is not served, before `arm` is asked: what comes of that is not known yet."""
        self._answer, self._arm, self._metered, self._finish_reason = None, arm, UNUSED, None
        self._transcript, self._transcript_for, self._costs.look_usd = None, (), []
        self._status = Status.FAILED

    def _restore(self, rejected: _Rejected) -> None:
        self._answer, self._arm, self._metered = rejected.answer, rejected.answer.arm, rejected.metered
        self._finish_reason, self._costs.look_usd = rejected.finish_reason, rejected.look_usd
        self._transcript, self._transcript_for = rejected.transcript, rejected.transcript_for
        self._attempts, self._status = len(self._tried), Status.OK

    def _rewriter(self) -> SseRewriter:
        if self._assembly is None:
            return super()._rewriter()
        return SseRewriter(
            self._identity(),
            keep_usage=self._request.wants_usage,
            transcript=self._transcript,
            assembly=self._assembly,
        )

    def _last_event(self, error: UpstreamError) -> bytes:
        if self._held is not None and not self._held.is_released:
            raise error
        return super()._last_event(error)

    def _finished_answer(self) -> FinishedAnswer:
        if self._finished is None:
            answer = self._assembly.answer() if self._assembly is not None else {}
            return FinishedAnswer(self._request.body, answer)
        return self._finished

    def _spent_usd(self) -> float | None:
        """Return the dollars of everything so far, None where nothing of it has a price."""
        spent_usd, lost_usd = self._costs.spent_usd(self._arm, self._metered.usage), self._given_up_usd()
        return (spent_usd or 0.0) + lost_usd if lost_usd else spent_usd

    def _energy_wh(self, usage: Usage) -> float | None:
        """Return the energy of every answer, None where nobody can know any of it; of several, by coefficients."""
        if not any(stage.went_on for stage in self._costs.stages):
            return super()._energy_wh(usage)
        return self._costs.energy_wh(self._arm, usage, asked=self._route.arms)

    def _outcome(self) -> Outcome:
        outcome, now = super()._outcome(), self._over_at or self._dependencies.timer()
        begun_at, ttft_s = self._first_sent_at, outcome.ttft_s
        if begun_at is None:
            return outcome
        if self._released_at is not None:
            ttft_s = self._released_at - begun_at
        elif self._answer is not None:
            ttft_s = self._answer.first_byte_at - begun_at
        return replace(
            outcome,
            cost_usd=self._spent_usd(),
            ttft_s=ttft_s,
            latency_s=now - begun_at,
            attempts=max(len(self._tried), 1),
            stages=tuple(self._costs.stages),
        )

    def _log_outcome(self, outcome: Outcome) -> None:
        is_seen = not outcome.stages and outcome.status is Status.OK and outcome.arm in self._cascade.candidates.arms
        if not is_seen:
            super()._log_outcome(outcome)
            return
        self._dependencies.background.spawn(self._log_seen(outcome))  # the client has it all, and may go

    async def _log_seen(self, outcome: Outcome) -> None:
        """Log an answer that was passed on as it came, with what it tells."""
        signals = await self._cascade.reader.look_on(self._finished_answer())
        choice = self._cascade.seen(LookedAt(outcome.arm, signals))
        stage = self._costs.stage(choice, self._arm, self._metered.usage, seconds=outcome.latency_s)
        super()._log_outcome(replace(outcome, stages=(stage,)))

    def _headers(self, content_type: str) -> Headers:
        headers = super()._headers(content_type)
        if not self._cascade.is_open:
            return headers
        asked = [*(stage.arm for stage in self._costs.stages if stage.went_on), self._arm.name]
        return [*headers, (b"x-highwayman-cascade", ", ".join(asked).encode())]
