"""Everything a router process holds, built in order and taken down in reverse."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from highwayman.env.encoder.encoder import Encoder
from highwayman.env.errors import HighwaymanError
from highwayman.env.pool.eligibility import Pool
from highwayman.env.reward import RewardSpec
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.log.history import LogHistory
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.feedback.trust.quarantine import Quarantine
from highwayman.serving.auth.authenticator import Authenticator
from highwayman.serving.completions.answer_cache.answer_cache import AnswerCache
from highwayman.serving.completions.calls.proxy_dependencies import ProxyDependencies
from highwayman.serving.completions.conversations.conversations import ConversationTracker
from highwayman.serving.completions.delegated.outcomes import OutcomeService
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.quota_gate import QuotaGate
from highwayman.serving.completions.requests.tag_reader import TagReader
from highwayman.serving.completions.routing.cascades import Cascades
from highwayman.serving.completions.routing.router import Router
from highwayman.serving.completions.routing.spend_tracker import SpendTracker
from highwayman.serving.config.config import Config
from highwayman.serving.metrics import Metrics
from highwayman.serving.reload.live_config import LiveConfig
from highwayman.serving.reload.reloader import Reloader
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.operator_key import operator_key
from highwayman.serving.state.referee import Referee
from highwayman.serving.wiring.answer_cache import build_answer_cache, build_answer_listeners
from highwayman.serving.wiring.cascades import build_cascades
from highwayman.serving.wiring.conversations import build_conversations
from highwayman.serving.wiring.counters import start_at_zero
from highwayman.serving.wiring.feedback import FeedbackComponents, FeedbackDependencies, build_feedback
from highwayman.serving.wiring.live_changes import LiveFollowers, build_reloader, with_shared_changes
from highwayman.serving.wiring.log import LogComponents, build_learner_factory, build_log, start_log
from highwayman.serving.wiring.privacy import build_guard, cleared_encoder
from highwayman.serving.wiring.routing import RoutingComponents, build_policy, build_routing, start_ramp
from highwayman.serving.wiring.settings import Settings
from highwayman.serving.wiring.tags import build_tags
from highwayman.serving.wiring.tracing import TracedMetrics, build_metrics


class BackgroundTaskFailed(HighwaymanError):
    """A part of the router that should run for ever has failed."""


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts."""

    settings: Settings
    pool: Pool
    store: Store
    history: LogHistory
    journal: Journal
    ids: DecisionIds
    spec: RewardSpec
    feedback: FeedbackComponents
    authenticator: Authenticator
    keys: KeyStore
    quarantine: Quarantine
    encoder: Encoder
    live: LivePolicy
    router: Router
    referee: Referee
    versions: VersionHistory  # kept of what the router decides with
    conversations: ConversationTracker
    tags: TagReader
    cascades: Cascades | None  # None: every answer is passed on as it comes
    proxy_dependencies: ProxyDependencies
    outcomes: OutcomeService
    metrics: Metrics
    answers: AnswerCache | None
    reloader: Reloader | None  # None: there are no files to be read again
    on_change: list[Callable[[LiveConfig], None]]  # called with what is in force from then on
    build_cascades: Callable[[Config], Cascades | None]  # for a configuration that has been checked
    guard: DataGuard | None  # None: every arm may have everything
    quotas: QuotaGate


@asynccontextmanager
async def build_services(settings: Settings) -> AsyncIterator[Services]:
    """Build and start everything; on leaving, finish what is under way and stop it.

    Redis may be away: then what this machine kept is in force, or the prior, and events are spooled.

    Raises:
        ConfigError, EncoderError: a part cannot be built, does not fit another, or Redis may evict the log.
    """
    async with AsyncExitStack() as stack:
        adapters = settings.config.feedback.adapters()  # what is wrong with them is told before anything is opened
        settings, shared_state = await with_shared_changes(settings)
        guard = build_guard(stack, settings)
        factory = build_learner_factory(stack, settings)
        metrics = build_metrics(stack, settings)
        spend_tracker = SpendTracker(settings.config.budget.limits(), time.time)
        log = build_log(
            stack,
            settings,
            factory,
            metrics=metrics,
            on_logged=spend_tracker.on_logged,
            on_drained=spend_tracker.on_drained,
        )
        policy = build_policy(stack, log, metrics)
        await start_log(stack, settings, log, policy.live)
        await start_ramp(stack, settings, log, policy.ramp)
        routing = await build_routing(stack, settings, log, policy=policy, spend_tracker=spend_tracker, metrics=metrics)
        if guard is not None:
            routing.router.encoder = cleared_encoder(settings, log, routing.pool, guard=guard, metrics=metrics)
        answers = build_answer_cache(settings, log, metrics)
        observers, on_filed = build_answer_listeners(answers, log, routing.background, guard)
        dependencies = FeedbackDependencies(log, routing, metrics, policy.live, observers, on_filed, guard)
        feedback = build_feedback(stack, settings, dependencies, adapters)
        conversations = build_conversations(settings, log, routing.background)
        followers = LiveFollowers(log, policy, routing, feedback, conversations, metrics, others=[])
        start_at_zero(metrics, settings, log)
        if isinstance(metrics, TracedMetrics):
            metrics.pool = routing.pool
            routing.upstream.send_along(metrics.tracer.call_headers)
        yield Services(
            settings=settings,
            pool=routing.pool,
            store=log.store,
            history=LogHistory(log.client, settings.config.namespace),
            journal=log.journal,
            ids=log.ids,
            spec=factory.spec,
            feedback=feedback,
            authenticator=Authenticator(settings.api_keys, log.key_cache, operator_key(settings.state)),
            keys=KeyStore(log.client, settings.config.namespace, log.store),
            quarantine=Quarantine(log.store, factory.retention(log.client)),
            encoder=factory.encoder,
            live=policy.live,
            router=routing.router,
            referee=factory.referee(log.client),
            versions=factory.version_history(log.client),
            conversations=conversations,
            tags=build_tags(stack, settings, log),
            cascades=build_cascades(settings, policy.live, routing, guard),
            build_cascades=lambda config: build_cascades(replace(settings, config=config), policy.live, routing, guard),
            proxy_dependencies=_proxy_dependencies(settings, routing, feedback, log.journal, metrics=metrics),
            outcomes=_outcomes(settings, log, routing, feedback, metrics=metrics, guard=guard),
            metrics=metrics,
            answers=answers,
            reloader=build_reloader(stack, settings, shared_state, followers),
            on_change=followers.others,
            guard=guard,
            quotas=routing.quotas,
        )


def _outcomes(
    settings: Settings,
    log: LogComponents,
    routing: RoutingComponents,
    feedback: FeedbackComponents,
    *,
    metrics: Metrics,
    guard: DataGuard | None,
) -> OutcomeService:
    """Return what takes in what came of decisions that somebody else carries out."""
    return OutcomeService(
        ids=log.ids,
        store=log.store,
        journal=log.journal,
        pool=routing.pool,
        metrics=metrics,
        observers=feedback.observers,
        judge=feedback.judge,
        on_outcome=routing.on_outcome,
        clock=time.time,
        window_s=settings.config.limits.feedback_window_s,
        guard=guard,
    )


def _proxy_dependencies(
    settings: Settings,
    routing: RoutingComponents,
    feedback: FeedbackComponents,
    journal: Journal,
    *,
    metrics: Metrics,
) -> ProxyDependencies:
    return ProxyDependencies(
        upstream=routing.upstream,
        journal=journal,
        metrics=metrics,
        background=routing.background,
        clock=time.time,
        timer=time.monotonic,  # Upstream's: an answer's latency is from its sending, by that clock
        on_outcome=routing.on_outcome,
        observers=feedback.observers,
        drain=settings.drain,
        vote_link=feedback.vote_link,
        tools=routing.pool.tools,
        power=routing.power,
    )
