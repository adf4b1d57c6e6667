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
from highwayman.feedback.intake.influence_weights import Weigher
from highwayman.feedback.intake.service import Intake
from highwayman.feedback.integrations.adapter import Door
from highwayman.feedback.judge.judge import Judge
from highwayman.feedback.log.journal import Journal
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.influence_caps import Influence
from highwayman.serving.completions.internal_calls import Entries
from highwayman.serving.completions.observers import Audience, Ear
from highwayman.serving.feedback.implicit_observer import OF_TURNS, ImplicitEar, with_turns
from highwayman.serving.feedback.judge_observer import JudgeEar
from highwayman.serving.feedback.vote_page import VOTE_PATH
from highwayman.serving.http.client_ids import Links, links_by
from highwayman.serving.metrics import Metrics
from highwayman.serving.state.learner_factory import Learning


@dataclass(frozen=True, slots=True)
class Ground:
    """What hearing stands on."""

    learning: Learning
    client: "aioredis.Redis"
    store: Store
    journal: Journal
    ids: DecisionIds
    metrics: Metrics
    pool: Pool
    upstream: Upstream
    ended: Callable[[Outcome], None]  # told of every call that ended
    rng: np.random.Generator
    calibrator: Calibrator


@dataclass(frozen=True, slots=True)
class Hearing:
    """What files statements, and whoever makes some."""

    intake: Intake
    doors: Sequence[Door]
    links: Links
    audience: Audience
    vote_link: Callable[[Decision], str] | None


def hearing(ground: Ground, doors: Sequence[Door]) -> Hearing:
    """Return everything that hears."""
    config, ids = ground.learning.config, ground.ids
    intake = Intake(
        store=ground.store,
        journal=ground.journal,
        held=ground.learning.held(ground.client),
        ids=ids,
        spec=ground.learning.spec,
        weigher=Weigher(Influence(config.feedback.influence.caps())),
        calibrator=ground.calibrator,
        clock=time.time,
        window_s=config.limits.feedback_window_s,
        tell=lambda said: ground.metrics.feedback.labels(said.metric).inc(),
    )
    links, ears = links_by(config.feedback.names.naming(), ids.link), list[Ear]()
    if config.feedback.implicit:
        wanted, likeness = frozenset(config.feedback.implicit), ground.learning.encoder.likeness
        ears.append(ImplicitEar(wanted, intake, ground.store, ids, likeness))
        links = with_turns(links, ids) if wanted & OF_TURNS else links
    if config.feedback.judge.arms:
        ears.append(_judge(ground, intake))
    return Hearing(intake, doors, links, Audience(ears), _vote_link(config.feedback.vote_url, ids))


def _judge(ground: Ground, intake: Intake) -> JudgeEar:
    """Return the ear that has answers judged. Raises ConfigError for a judge who is not in the pool."""
    wanted = ground.learning.config.feedback.judge
    unknown = [name for name in (*wanted.arms, *wanted.rates) if name not in ground.pool.arms]
    if unknown:
        known = ", ".join(ground.pool.arms)
        raise ConfigError(f"feedback.judge: there is no arm {unknown[0]!r} in the pool; there are {known}")
    judge = Judge(
        upstream=ground.upstream,
        arms=[ground.pool.arm(name) for name in wanted.arms],
        settings=wanted.settings(),
        clock=time.time,
        timer=time.perf_counter,
        entropy=secrets.token_bytes,
        rng=ground.rng,
    )
    return JudgeEar(
        judge=judge,
        pool=ground.pool,
        intake=intake,
        entries=Entries(ground.journal, ground.ids.issue, time.time, ground.ended),
        rng=ground.rng,
        pairwise=wanted.pairwise,
        timer=time.perf_counter,
        tell=lambda came_to: ground.metrics.judged.labels(came_to).inc(),
    )


def _vote_link(url: str | None, ids: DecisionIds) -> Callable[[Decision], str] | None:
    if url is None:
        return None
    return lambda decision: f"{url.rstrip('/')}{VOTE_PATH}{ids.ticket(decision.id, decision.tenant)}"
