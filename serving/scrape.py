"""What a scrape of /metrics is told: what was counted, and how things stand now, of which no request pays."""

import asyncio
import time
from collections.abc import Mapping

from highwayman.env.errors import StoreUnavailable
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.event_id import milliseconds_of
from highwayman.serving.metrics import Metrics
from highwayman.serving.services import Services
from highwayman.serving.telemetry.beliefs import beliefs_of
from highwayman.serving.views import pending_counts, savings_of

_REDIS_PATIENCE_S = 0.25


async def scrape(services: Services) -> bytes:
    """Return everything in Prometheus' text format."""
    metrics, tally, now = services.metrics, services.live.tally, time.time()
    for arm in services.pool.arms.values():
        chance = tally.arm(arm.name).answer_rate.chance(now)
        metrics.on_health(arm.name, resting=len(services.pool.resting_endpoints(arm)), chance=chance)
    arms = [*services.pool.arms, *(name for name in tally.arms if name in CACHED_ARMS)]
    for name in arms:
        _set_learned(metrics, name, tally)
    _set_beliefs(metrics, services, arms)
    for tenant in tally.control.tenants:
        metrics.on_savings(tenant, savings_of(services, tenant))
    lag_s = await _learner_lag_s(services, now)
    if lag_s is not None:
        metrics.gauge("learner_lag_seconds").set(lag_s)
    pending = await pending_counts(services)
    metrics.look()
    return await asyncio.to_thread(metrics.as_text, pending)  # some 100 kB for eight arms: requests go on meanwhile


def _set_learned(metrics: Metrics, name: str, tally: Tally) -> None:
    """Say what the log tells of an arm's answers: before there is feedback only how wide the interval is."""
    arm = tally.arm(name)
    mean, low, high = arm.quality()
    for bound, value in (("value", float("nan") if mean is None else mean), ("low", low), ("high", high)):
        metrics.gauge("reward").labels(name, bound).set(value)
    metrics.gauge("rated_answers").labels(name).set(arm.feedback)
    metrics.gauge("feedback_coverage_ratio").labels(name).set(arm.feedback / arm.decisions if arm.decisions else 0.0)


def _set_beliefs(metrics: Metrics, services: Services, arms: list[str]) -> None:
    beliefs = beliefs_of(metrics.latest, services.live.policy_for, usd_per_call(services.live.tally))
    for name in arms:
        metrics.gauge("quality_estimate").labels(name).set(beliefs.quality.get(name, float("nan")))
        metrics.gauge("quality_deviation").labels(name).set(beliefs.deviation.get(name, float("nan")))
    metrics.gauge("exploration_regret_per_request").set(beliefs.regret)
    metrics.gauge("exploration_usd_per_request").set(beliefs.usd)
    metrics.gauge("explored_ratio").set(beliefs.explored)


def usd_per_call(tally: Tally) -> Mapping[str, float]:
    """Return what an answer of each arm cost on average; an arm that has given none is not in it."""
    return {name: arm.cost_usd / arm.calls for name, arm in tally.arms.items() if arm.calls}


async def _learner_lag_s(services: Services, now: float) -> float | None:
    """Return for how long the oldest event that is not in the version in force has waited, None without Redis."""
    try:
        async with asyncio.timeout(_REDIS_PATIENCE_S):
            first = await services.history.first_after(services.live.position)
    except (StoreUnavailable, TimeoutError):
        return None
    return 0.0 if first is None else max(now - milliseconds_of(first) / 1000, 0.0)
