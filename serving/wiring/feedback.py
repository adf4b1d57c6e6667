"""All that hears what is said of answers, put together as the configuration has it."""

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np

from highwayman.env.errors import ConfigError
from highwayman.env.types import Decision, Feedback
from highwayman.feedback.calibration.calibrator import Calibrator
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.influence_weights import InfluenceWeights
from highwayman.feedback.intake.pending_spool import PendingSpool
from highwayman.feedback.intake.retraction import FiledStatements
from highwayman.feedback.intake.service import FeedbackService
from highwayman.feedback.intake.statement_calibration import StatementCalibration
from highwayman.feedback.intake.statements import StatementBuilder
from highwayman.feedback.intake.targets import TargetResolver
from highwayman.feedback.integrations.adapter import FeedbackAdapter
from highwayman.feedback.judge.judge import LlmJudge
from highwayman.feedback.log.shared_dollars import SharedDollars
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.feedback.trust.influence_caps import InfluenceLimiter
from highwayman.feedback.trust.shared_influence import SharedInfluence
from highwayman.serving.completions.calls.internal_calls import InternalCalls
from highwayman.serving.completions.calls.observers import CompletionObserver, CompletionObservers
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.config.feedback import JudgeConfig
from highwayman.serving.feedback.implicit_observer import OF_TURNS, ImplicitSignalObserver, with_turn_links
from highwayman.serving.feedback.judge_observer import JudgeObserver
from highwayman.serving.feedback.shadow_observer import ShadowObserver
from highwayman.serving.feedback.vote_page import VOTE_PATH
from highwayman.serving.http.client_ids import LinkExtractor, link_digests
from highwayman.serving.metrics import Metrics
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.wiring.background import start_in_background
from highwayman.serving.wiring.log import LogComponents
from highwayman.serving.wiring.routing import RoutingComponents
from highwayman.serving.wiring.settings import Settings


@dataclass(frozen=True, slots=True)
class FeedbackDependencies:
    """What hearing stands on."""

    log: LogComponents
    routing: RoutingComponents
    metrics: Metrics
    live: LivePolicy  # whose tally says how people and judges agree
    observers: Sequence[CompletionObserver] = ()  # who look at answers beside those that make statements
    on_filed: Callable[[Sequence[Feedback]], None] = lambda shares: None  # called with each statement that was filed
    guard: DataGuard | None = None  # knows who may read what; None: anybody


@dataclass(frozen=True, slots=True)
class FeedbackComponents:
    """What files statements, and whoever makes some."""

    service: FeedbackService
    adapters: Sequence[FeedbackAdapter]
    links: LinkExtractor
    observers: CompletionObservers
    vote_link: Callable[[Decision], str] | None
    judge: JudgeObserver | None  # None: no answers are judged


def build_feedback(
    stack: AsyncExitStack, settings: Settings, dependencies: FeedbackDependencies, adapters: Sequence[FeedbackAdapter]
) -> FeedbackComponents:
    """Return what takes feedback in, and what makes some. Raises ConfigError for a judge who is not in the pool."""
    config, log = settings.config, dependencies.log
    spool = _pending_spool(settings, log)
    service = _service(dependencies, _calibrator(stack, settings, dependencies), spool)
    start_in_background(stack, spool.run(service.retract_held), settings.on_failure)
    links, observers = (
        link_digests(config.feedback.names.client_id_sources(), log.ids.link),
        list(dependencies.observers),
    )
    if config.feedback.implicit:
        signals, likeness = frozenset(config.feedback.implicit), log.factory.encoder.cosine_similarity
        may_compare = (lambda request: True) if dependencies.guard is None else dependencies.guard.may_encode
        observers.append(ImplicitSignalObserver(signals, service, log.store, log.ids, likeness, may_compare))
        links = with_turn_links(links, log.ids) if signals & OF_TURNS else links
    judge = _judge(dependencies, service, dependencies.routing.rng.spawn(1)[0]) if config.feedback.judge.arms else None
    if judge is not None:
        observers.append(judge)
    if config.shadow.rate > 0:
        observers.append(_shadow(dependencies, judge))
    completion_observers = CompletionObservers(observers)
    stack.push_async_callback(completion_observers.close)
    vote_link = _vote_link(config.feedback.vote_url, log.ids)
    return FeedbackComponents(service, adapters, links, completion_observers, vote_link, judge)


def _calibrator(stack: AsyncExitStack, settings: Settings, dependencies: FeedbackDependencies) -> Calibrator:
    """Return what corrects statements, which keeps up with the tally beside the requests."""
    live, calibration = dependencies.live, settings.config.feedback.calibration
    calibrator = Calibrator(
        dependencies.log.factory.spec, lambda: live.tally.calibration_counts, calibration.settings()
    )
    start_in_background(stack, calibrator.run(), settings.on_failure)
    return calibrator


def _pending_spool(settings: Settings, log: LogComponents) -> PendingSpool:
    """Return what takes statements under clients' ids while Redis is away, and what takes statements back."""
    spools = claim_spools(log.local_state.spools / "held", limit_bytes=settings.config.limits.spool_bytes)
    return PendingSpool(spools, log.factory.pending_feedback(log.client), time.time)


def _service(dependencies: FeedbackDependencies, calibrator: Calibrator, spool: PendingSpool) -> FeedbackService:
    log, metrics = dependencies.log, dependencies.metrics
    config, store, ids, spec = log.factory.config, log.store, log.ids, log.factory.spec
    caps = config.feedback.influence.caps()

    def on_filed(shares: Sequence[Feedback]) -> None:
        metrics.on_filed(shares)
        dependencies.on_filed(shares)

    return FeedbackService(
        spec=spec,
        targets=TargetResolver(
            ids,
            store.linked_decisions,
            time.time,
            config.limits.feedback_window_s,
            store.linked_decisions_of,
            store.records,
        ),
        statements=StatementBuilder(ids, spec, store.record, time.time),
        influence_weights=InfluenceWeights(InfluenceLimiter(caps), SharedInfluence(log.client, config.namespace, caps)),
        calibration=StatementCalibration(calibrator, store.records),
        filed=FiledStatements(ids, store.linked_decisions, store.records),
        journal=log.journal,
        pending=log.factory.pending_feedback(log.client),
        clock=time.time,
        on_feedback=metrics.on_feedback,
        on_filed=on_filed,
        pending_spool=spool,
    )


def _judge(dependencies: FeedbackDependencies, service: FeedbackService, rng: np.random.Generator) -> JudgeObserver:
    """Return the observer that has answers judged. Raises ConfigError for a judge who is not in the pool."""
    log, routing = dependencies.log, dependencies.routing
    pool, config = routing.pool, log.factory.config.feedback.judge
    check_judge(config, pool.arms, log.factory.arm_names)
    judge = LlmJudge(
        upstream=routing.upstream,
        arms=[pool.arm(name) for name in config.arms],
        settings=config.settings(),
        clock=time.time,
        timer=time.monotonic,
        entropy=secrets.token_bytes,
        rng=rng,
        dollars=None if config.usd_per_day is None else _dollars(log, "judge", config.usd_per_day),
    )
    return JudgeObserver(
        judge=judge,
        pool=pool,
        service=service,
        internal_calls=InternalCalls(log.journal, log.ids.issue, time.time, routing.on_outcome),
        rng=rng,
        pairwise=config.pairwise,
        timer=time.monotonic,
        on_result=lambda result: dependencies.metrics.judged.labels(result).inc(),
        guard=dependencies.guard,
    )


def _shadow(dependencies: FeedbackDependencies, judge: JudgeObserver | None) -> ShadowObserver:
    """Return the observer that lets other arms answer, too. Raises ConfigError for what the rest does not declare."""
    log, routing = dependencies.log, dependencies.routing
    config = log.factory.config
    config.shadow.check_arms(routing.pool.arms, config.feedback.judge.arms)
    dollars = _dollars(log, "shadow", config.shadow.usd_per_day)
    return ShadowObserver(
        config=config.shadow,
        forbidden=config.shadow.forbidden(config.declared_tags()),
        pool=routing.pool,
        upstream=routing.upstream,
        internal_calls=InternalCalls(log.journal, log.ids.issue, time.time, routing.on_outcome),
        dollars=dollars,
        rng=np.random.default_rng(secrets.randbits(128)),
        timer=time.monotonic,
        on_result=lambda result: dependencies.metrics.shadowed.labels(result).inc(),
        judge=judge,
    )


def _dollars(log: LogComponents, name: str, usd_per_day: float | None) -> SharedDollars:
    """Return a day's dollars that all processes of the namespace pay from."""
    return SharedDollars(log.client, log.factory.config.namespace, name=name, usd_per_day=usd_per_day, clock=time.time)


def check_judge(config: JudgeConfig, judging: Collection[str], answering: Collection[str]) -> None:
    """Raise ConfigError for a judge, or an arm with a rate of its own, that is not in the pool."""
    unknown = [
        *(name for name in config.arms if name not in judging),
        *(name for name in config.rates if name not in answering),
    ]
    if unknown:
        known = ", ".join(judging)
        raise ConfigError(f"feedback.judge: there is no arm {unknown[0]!r} in the pool; there are {known}")


def _vote_link(url: str | None, ids: DecisionIds) -> Callable[[Decision], str] | None:
    if url is None:
        return None
    return lambda decision: f"{url.rstrip('/')}{VOTE_PATH}{ids.ticket(decision.id, decision.tenant)}"
