"""All that hears what is said of answers, put together as the configuration has it."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import redis.asyncio as aioredis

from highwayman.env.errors import ConfigError
from highwayman.env.pool.eligibility import Pool
from highwayman.env.types import Decision, Outcome
from highwayman.env.upstream.client import Upstream
from highwayman.feedback.calibration.calibrator import Calibrator
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.influence_weights import InfluenceWeights
from highwayman.feedback.intake.service import FeedbackService
from highwayman.feedback.integrations.adapter import FeedbackAdapter
from highwayman.feedback.judge.judge import LlmJudge
from highwayman.feedback.log.journal import Journal
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.influence_caps import InfluenceLimiter
from highwayman.serving.completions.internal_calls import InternalCalls
from highwayman.serving.completions.observers import CompletionObserver, CompletionObservers
from highwayman.serving.feedback.implicit_observer import OF_TURNS, ImplicitSignalObserver, with_turn_links
from highwayman.serving.feedback.judge_observer import JudgeObserver
from highwayman.serving.feedback.vote_page import VOTE_PATH
from highwayman.serving.http.client_ids import LinkExtractor, link_digests
from highwayman.serving.metrics import Metrics
from highwayman.serving.state.learner_factory import LearnerFactory


@dataclass(frozen=True, slots=True)
class FeedbackDependencies:
    """What hearing stands on."""

    factory: LearnerFactory
    client: "aioredis.Redis"
    store: Store
    journal: Journal
    ids: DecisionIds
    metrics: Metrics
    pool: Pool
    upstream: Upstream
    on_outcome: Callable[[Outcome], None]  # told of every call that ended
    rng: np.random.Generator
    calibrator: Calibrator


@dataclass(frozen=True, slots=True)
class FeedbackComponents:
    """What files statements, and whoever makes some."""

    service: FeedbackService
    adapters: Sequence[FeedbackAdapter]
    links: LinkExtractor
    observers: CompletionObservers
    vote_link: Callable[[Decision], str] | None


def build_feedback(dependencies: FeedbackDependencies, adapters: Sequence[FeedbackAdapter]) -> FeedbackComponents:
    """Return everything that hears."""
    config, ids = dependencies.factory.config, dependencies.ids
    service = FeedbackService(
        store=dependencies.store,
        journal=dependencies.journal,
        pending=dependencies.factory.pending_feedback(dependencies.client),
        ids=ids,
        spec=dependencies.factory.spec,
        influence_weights=InfluenceWeights(InfluenceLimiter(config.feedback.influence.caps())),
        calibrator=dependencies.calibrator,
        clock=time.time,
        window_s=config.limits.feedback_window_s,
        on_feedback=lambda feedback: dependencies.metrics.feedback.labels(feedback.metric).inc(),
    )
    links, observers = link_digests(config.feedback.names.client_id_sources(), ids.link), list[CompletionObserver]()
    if config.feedback.implicit:
        wanted, likeness = frozenset(config.feedback.implicit), dependencies.factory.encoder.cosine_similarity
        observers.append(ImplicitSignalObserver(wanted, service, dependencies.store, ids, likeness))
        links = with_turn_links(links, ids) if wanted & OF_TURNS else links
    if config.feedback.judge.arms:
        observers.append(_judge(dependencies, service))
    return FeedbackComponents(
        service, adapters, links, CompletionObservers(observers), _vote_link(config.feedback.vote_url, ids)
    )


def _judge(dependencies: FeedbackDependencies, service: FeedbackService) -> JudgeObserver:
    """Return the ear that has answers judged. Raises ConfigError for a judge who is not in the pool."""
    wanted = dependencies.factory.config.feedback.judge
    unknown = [name for name in (*wanted.arms, *wanted.rates) if name not in dependencies.pool.arms]
    if unknown:
        known = ", ".join(dependencies.pool.arms)
        raise ConfigError(f"feedback.judge: there is no arm {unknown[0]!r} in the pool; there are {known}")
    judge = LlmJudge(
        upstream=dependencies.upstream,
        arms=[dependencies.pool.arm(name) for name in wanted.arms],
        settings=wanted.settings(),
        clock=time.time,
        timer=time.perf_counter,
        entropy=secrets.token_bytes,
        rng=dependencies.rng,
    )
    return JudgeObserver(
        judge=judge,
        pool=dependencies.pool,
        service=service,
        internal_calls=InternalCalls(dependencies.journal, dependencies.ids.issue, time.time, dependencies.on_outcome),
        rng=dependencies.rng,
        pairwise=wanted.pairwise,
        timer=time.perf_counter,
        on_result=lambda came_to: dependencies.metrics.judged.labels(came_to).inc(),
    )


def _vote_link(url: str | None, ids: DecisionIds) -> Callable[[Decision], str] | None:
    if url is None:
        return None
    return lambda decision: f"{url.rstrip('/')}{VOTE_PATH}{ids.ticket(decision.id, decision.tenant)}"
