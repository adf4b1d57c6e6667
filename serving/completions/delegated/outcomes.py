"""What came of a decision that somebody else carried out: checked, and put on the log once."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field

from highwayman.env.cost.usage import cost_usd, energy_wh
from highwayman.env.data_class import class_told_by
from highwayman.env.errors import StoreUnavailable, UnknownArm, UnknownDecision
from highwayman.env.pool.eligibility import Pool
from highwayman.env.types import DELEGATED, Arm, Attempt, Decision, JsonObject, Outcome, Status
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.env.upstream.answers.transcript import Transcript
from highwayman.env.upstream.answers.usage_report import parse_reported_usage
from highwayman.feedback.intake.decision_ids import DecisionIds, without_prefix
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.completions.calls.metering import UNUSED, MeteredUsage, meter
from highwayman.serving.completions.calls.observers import CompletedCall, CompletionObserver, CompletionObservers
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.requests.request import CompletionRequest, parse_chat
from highwayman.serving.http.asgi import Scope
from highwayman.serving.http.validation import DEFAULT_LIMITS, BadRequest, BodyLimits, parse_object, validate
from highwayman.serving.metrics import Metrics

_UNDER_WAY_S = 900.0  # that a decision may take to reach the log, over the spool of the router that took it
_Id = Annotated[str, Field(min_length=1, max_length=256)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class OutcomeBody(BaseModel):
    """What `POST /v1/outcomes` takes."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    decision_id: _Id = Field(description="from `POST /v1/route`")
    status: Literal["ok", "failed", "timeout", "refused"] = Field(
        "ok", description="refused: the request itself was called wrong, which is not held against the arm"
    )
    arm: _Id | None = Field(None, description="that really answered, or failed last; left out: the one decided on")
    failed_arms: list[_Id] = Field(default_factory=list, max_length=100, description="asked before it, in vain")
    usage: dict[str, Any] | None = Field(None, description="tokens, as OpenAI's answers have it")
    cost_usd: _Amount | None = Field(None, description="dollars really paid; left out: by the pool's prices")
    latency_s: _Amount | None = Field(None, description="from sending to the answer's end")
    ttft_s: _Amount | None = Field(None, description="from sending to the first token")
    finish_reason: Annotated[str, Field(max_length=64)] | None = None
    answer: str | None = Field(
        None, description="its text: counted where usage is missing, seen by the judge; not kept"
    )
    messages: list[Any] | None = Field(None, description="of the request, for the judge; not kept")


@dataclass(frozen=True, slots=True)
class ToldOutcome:
    """A body that holds what it must, and the request for the judge, if there is one."""

    body: OutcomeBody
    request: CompletionRequest | None


def parse_outcome(raw: bytes, limits: BodyLimits = DEFAULT_LIMITS) -> ToldOutcome:
    """Return what a body says. Raises BadRequest."""
    body = validate(OutcomeBody, parse_object(raw, limits))
    if body.status == "ok":
        if body.latency_s is None:
            raise BadRequest("latency_s: an answer took some seconds; say how many", param="latency_s")
        report = parse_reported_usage({"usage": body.usage})
        counted = report is not None and report.tokens_in is not None and report.tokens_out is not None
        if not counted and not body.answer:
            told = "give prompt_tokens and completion_tokens, as the answer had them, or the answer's text"
            raise BadRequest(f"usage: {told}", param="usage")
    if body.ttft_s is not None and body.latency_s is not None and body.ttft_s > body.latency_s:
        raise BadRequest("ttft_s: must not lie above latency_s, which counts from sending, too", param="ttft_s")
    request = None
    if body.messages is not None and body.answer:
        conversation = {"model": body.decision_id, "messages": body.messages}
        request = parse_chat(pydantic_core.to_json(conversation), limits)
    return ToldOutcome(body, request)


@dataclass(frozen=True, slots=True)
class OutcomeService:
    """Takes outcomes in, each decision's once."""

    ids: DecisionIds
    store: Store
    journal: Journal
    pool: Pool
    metrics: Metrics
    observers: CompletionObservers
    judge: CompletionObserver | None  # the one of them that looks at answers which the router has not seen
    on_outcome: Callable[[Outcome], None]
    clock: Callable[[], float]  # seconds since the epoch
    window_s: float  # that a decision takes an outcome for
    guard: DataGuard | None = None  # knows who may read a request; None: anybody

    async def take(self, told: ToldOutcome, scope: Scope, principal: Principal) -> JsonObject:
        """Put an outcome on the log, and return what stands there now: told again, it is what was told first.

        Raises:
            UnknownDecision: it is not this tenant's, too old, or erased.
            UnknownArm: who answered is not in the pool.
            BadRequest: the router makes the call itself.
            StoreUnavailable: it is not known yet what was decided; to be told again.
        """
        decision_id = without_prefix(told.body.decision_id)
        decision, standing = await self._decision(decision_id, principal.tenant)
        if standing is not None:
            return _view(standing, "known")
        outcome = self._outcome(decision, told.body)
        request = await self._cleared(told.request, decision, scope, principal)
        event_id = await self.journal.put(outcome)
        if event_id is not None:
            record = (await self.store.records([decision_id])).get(decision_id)
            first = record.outcome if record is not None else None
            if first is not None and first != outcome:  # told twice at the same time
                return _view(first, "known")
        self.on_outcome(outcome)
        self.metrics.on_outcome(decision, outcome)
        self._judge(request, told.body.answer, decision, outcome)
        return _view(outcome, "spooled" if event_id is None else "logged")

    async def _decision(self, decision_id: str, tenant: str) -> tuple[Decision, Outcome | None]:
        """Return a decision that somebody else carries out, and what was told of it already."""
        age_s = self.clock() - self.ids.verify(decision_id, tenant)
        if age_s > self.window_s:
            raise UnknownDecision(f"This decision no longer takes an outcome: it is older than {self.window_s:g} s.")
        record = (await self.store.records([decision_id])).get(decision_id)
        if record is None and age_s < _UNDER_WAY_S:
            raise StoreUnavailable("This decision is not on the log yet; tell it again in a moment.")
        if record is None or record.decision is None or record.erased_id is not None:
            raise UnknownDecision("This decision is not known any more.")
        if DELEGATED not in record.decision.context.flags:
            raise BadRequest(
                "decision_id: the router makes this call itself, and knows what comes of it; only decisions of "
                "POST /v1/route are told",
                param="decision_id",
                status=409,
            )
        outcome = record.outcome
        return record.decision, None if outcome is None or outcome.status is Status.LOST else outcome

    def _outcome(self, decision: Decision, body: OutcomeBody) -> Outcome:
        arm, metered = self._arm(body.arm or decision.arm, decision), _metered(body, decision.context.prompt_tokens)
        for name in body.failed_arms:
            self._arm(name, decision)
        usage, seconds = metered.usage, body.latency_s or 0.0
        ending = "answered" if body.status == "ok" else "arms_fault"
        attempts = [Attempt(name, "", 0.0, "arms_fault") for name in body.failed_arms]
        tried = (*attempts, Attempt(arm.name, "", seconds, ending)) if attempts else ()
        return Outcome(
            decision_id=decision.id,
            at=self.clock(),
            arm=arm.name,
            status=Status(body.status),
            prompt_tokens=decision.context.prompt_tokens,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            cost_usd=cost_usd(arm, usage) if body.cost_usd is None else body.cost_usd,
            ttft_s=body.ttft_s,
            latency_s=seconds,
            finish_reason=body.finish_reason,
            attempts=len(attempts) + 1,
            tried=tried,
            tokens_cached=usage.tokens_cached,
            estimated=metered.estimated,
            wh=energy_wh(arm, usage),
        )

    def _arm(self, name: str, decision: Decision) -> Arm:
        """Return an arm of the pool, or one that was a candidate and is gone since, whose prices nobody knows."""
        arm = self.pool.arms.get(name)
        if arm is None and name in decision.arms:
            return Arm(name, (), name, None, None, sys.maxsize)
        if arm is None:
            raise UnknownArm(f"The arm {name!r} is not in the pool. Known here: {', '.join(self.pool.arms)}.")
        return arm

    async def _cleared(
        self, request: CompletionRequest | None, decision: Decision, scope: Scope, principal: Principal
    ) -> CompletionRequest | None:
        """Return the request with what may be done with it: of the class it was routed by, or what it says itself."""
        if request is None or self.guard is None:
            return request
        known = class_told_by(decision.context.flags)
        return await self.guard.clear(request, scope, principal, redacts=False, known=known)

    def _judge(
        self, request: CompletionRequest | None, answer: str | None, decision: Decision, outcome: Outcome
    ) -> None:
        """Have the answer judged if it is drawn: what is judged elsewhere, the router has seen itself."""
        judge = self.judge
        if judge is None or request is None or answer is None or outcome.status is not Status.OK:
            return
        if not judge.wants_transcript(request, decision, self._arm(outcome.arm, decision)):
            return
        transcript = Transcript()
        transcript.add({"choices": [{"message": {"content": answer}}]})
        self.observers.notify(CompletedCall(request, decision, outcome, transcript, (judge,)), only=judge)


def _metered(body: OutcomeBody, prompt_tokens: int) -> MeteredUsage:
    """Return the tokens of a call: of one that failed, as far as they are told."""
    report, text = parse_reported_usage({"usage": body.usage}), AnswerText()
    if body.status != "ok" and report is None:
        return UNUSED
    text.add({"choices": [{"message": {"content": body.answer or ""}}]})
    return meter(report, text, prompt_tokens=prompt_tokens)


def _view(outcome: Outcome, state: str) -> JsonObject:
    names = ("decision_id", "arm", "status", "tokens_in", "tokens_out", "cost_usd", "latency_s", "estimated")
    return {"object": "highwayman.outcome", **{name: getattr(outcome, name) for name in names}, "state": state}


def delegated(decision: Decision) -> Decision:
    """Return a decision as one whose call somebody else makes, as the log has it."""
    return replace(decision, context=replace(decision.context, flags=decision.context.flags | {DELEGATED}))
