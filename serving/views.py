"""What the read-only routes show, as plain data."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from highwayman.env.cost.efficiency import inference_efficiency
from highwayman.env.cost.objective import Objective
from highwayman.env.data_class import told_by
from highwayman.env.encoder.features.tags import tag_places
from highwayman.env.errors import StoreUnavailable, UnknownDecision
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.pool.eligibility import Pool
from highwayman.env.reward import FeedbackStatus, RewardContribution, RewardSpec
from highwayman.env.types import Arm, Decision, Outcome
from highwayman.feedback.fold.join import attribute_reward, explain_reward
from highwayman.feedback.intake.feedback_ids import public_id
from highwayman.feedback.intake.pending import PendingCounts
from highwayman.feedback.log.record import Record
from highwayman.feedback.savings.report import SavingsReport, savings_report
from highwayman.feedback.tournament.ramp import Ramp, RampRules
from highwayman.serving.services import Services
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.pool_objectives import objectives_view

_REDIS_PATIENCE_S = 0.25


def tournament_view(ramp: Ramp, verdicts: Mapping[str, Mapping[str, Any]], rules: RampRules) -> dict[str, Any]:
    """Return who decides for how much of the traffic, and what is known of everybody else."""
    others = {name: dict(verdict) for name, verdict in verdicts.items() if name != ramp.champion}
    return {
        "object": "highwayman.tournament",
        "champion": ramp.champion,
        "challenger": ramp.challenger or None,
        "share": ramp.share,
        "previous": ramp.previous or None,
        "barred": list(ramp.barred),
        "worth_its_exploration": not ramp.warned,
        "promote": rules.by,
        "contenders": {
            # Of the time of another champion there is nothing to compare with this one.
            name: verdict if verdict["champion"] == ramp.champion else None
            for name, verdict in others.items()
        },
    }


def policy_view(
    live: LivePolicy,
    name: str,
    pool: Pool,
    *,
    ramp: Ramp,
    at: float,
    objectives: Mapping[str, Objective],
    stored: Iterable[str] = (),
    pending: PendingCounts | None,
) -> dict[str, Any]:
    """Return the policy in force, what quality is worth to it, each arm's numbers over the whole log and its load.

    Also what became of feedback without a decision. An arm's chance to answer is that of a call at `at`, seconds since
    the epoch; which of its endpoints rest, this process knows by itself. `stored` are arms that give stored answers.
    """
    return {
        "policy": name,
        "version": live.version,
        "position": live.position,
        "lag_s": live.lag_s,
        "champion": ramp.champion,
        "challenger": ramp.challenger or None,
        "challenger_share": ramp.share,
        "worth_its_exploration": not ramp.warned,
        "objectives": objectives_view(objectives),
        "arms": {
            arm.name: {
                **_arm_view(live, arm, pool, at),
                **_load_view(pool, arm),
                "tools": pool.tools.believed(arm).tools,
            }
            for arm in (*pool.arms.values(), *(CACHED_ARMS[name] for name in stored))
        },
        "feedback_without_decision": None if pending is None else asdict(pending),
    }


async def pending_counts(services: Services) -> PendingCounts | None:
    """Return what became of feedback without a decision, None where Redis does not tell in time."""
    try:
        async with asyncio.timeout(_REDIS_PATIENCE_S):
            return await services.feedback.service.pending.counts()
    except (StoreUnavailable, TimeoutError):
        return None


def savings_of(services: Services, tenant: str) -> SavingsReport:
    """Return what a tenant's control slice tells, by what is published."""
    control = services.settings.config.control
    usd_per_day = 0.0 if control is None else control.router_usd_per_day
    return savings_report(services.live.tally.control, tenant=tenant, router_usd_per_day=usd_per_day)


def savings_view(services: Services, tenant: str) -> dict[str, Any]:
    """Return what a tenant's control slice tells, and the slice that is in force; null: none is."""
    baseline = services.router.control
    in_force = None if baseline is None else baseline.slice_for(tenant, services.live.tally)
    shown = None if in_force is None else {"share": in_force.share, "baseline": dict(in_force.baseline)}
    return {"tenant": tenant, "slice": shown, **savings_of(services, tenant).to_dict()}


async def readiness_view(services: Services) -> dict[str, Any]:
    """Return whether requests are answered, and what of the rest is missing."""
    draining = services.settings.drain.begun
    up = {arm.name: services.pool.unwell(arm) is None for arm in services.pool.arms.values()}
    redis, live = await _redis_answers(services), services.live
    return {
        "status": "draining" if draining else "ready" if any(up.values()) else "no arm answers",
        "ready": any(up.values()) and not draining,
        "degraded": not redis or services.journal.degraded,
        "redis": redis,
        "spooled_events": services.journal.waiting,
        "policy_version": live.version,
        "policy_lag_s": live.lag_s,
        "policy_checked_s_ago": None if live.checked_at is None else max(time.time() - live.checked_at, 0.0),
        "arms": up,
    }


async def _redis_answers(services: Services) -> bool:
    try:
        async with asyncio.timeout(_REDIS_PATIENCE_S):
            await services.store.ping()
    except (StoreUnavailable, TimeoutError):
        return False
    return True


def _arm_view(live: LivePolicy, arm: Arm, pool: Pool, at: float) -> dict[str, Any]:
    name, tally = arm.name, live.tally.arm(arm.name)
    mean, low, high = tally.quality()
    return {
        "state": arm.state,
        "share": live.tally.share(name),
        "recent_share": live.tally.recent_share(name),
        "decisions": tally.decisions,
        "feedback": tally.feedback,
        "quality": mean,
        "quality_low": low,
        "quality_high": high,
        "cost_usd": tally.cost_usd,
        "latency_s": tally.latency_s / tally.calls if tally.calls else None,
        "attempts": tally.calls + tally.failures,
        "failures": tally.failures,
        "chance_to_answer": tally.answer_rate.chance(at),
        "resting": list(pool.resting_endpoints(arm)),
        "efficiency": inference_efficiency(mean, tally.latency_s / tally.calls, tally.cost_usd / tally.calls)
        if mean is not None and tally.calls
        else None,
    }


def _load_view(pool: Pool, arm: Arm) -> dict[str, Any]:
    """Return why an arm is unwell, if it is, and the load of its replicas; null: nothing is known of it."""
    names = ("waiting", "running", "kv_cache_usage", "first_token_s")
    states = {endpoint: pool.loads.state(endpoint) for endpoint in arm.endpoints}
    replicas = [
        {
            "endpoint": endpoint,
            "serves": pool.loads.serves(endpoint, arm.model),
            **{name: getattr(state, name, None) for name in names},
        }
        for endpoint, state in states.items()
    ]
    return {"unwell": pool.unwell(arm), "replicas": replicas}


def decision_head(decision: Decision) -> dict[str, Any]:
    """Return what is shown of a decision wherever it is."""
    return {
        "id": decision.id,
        "object": "highwayman.decision",
        "at": decision.at,
        "mode": decision.mode,
        "objective": decision.objective,
        "policy": decision.policy,
        "policy_version": decision.policy_version,
        "arm": decision.arm,
        "propensity": decision.propensity,
    }


def decision_view(record: Record, spec: RewardSpec) -> dict[str, Any]:
    """Return what was decided, why, and what came of it."""
    decision, attributed = record.decision, attribute_reward(record, spec)
    if decision is None or attributed is None:
        raise UnknownDecision("This decision is not known any more.")
    reward = attributed.reward
    return {
        **decision_head(decision),
        "arms": list(decision.arms),
        "resting": list(decision.context.resting),
        "shadow_of": decision.context.shadow_of or None,
        "privacy": told_by(decision.context.flags),
        "probs": decision.probs.tolist(),
        "penalties": decision.penalties.tolist(),
        "context": {
            "encoder": decision.context.fingerprint,
            "features": len(decision.context.features),
            "prompt_tokens": decision.context.prompt_tokens,
            "flags": sorted(decision.context.flags),
            "tags": tag_places(decision.context),
        },
        "outcome": _outcome_view(record.outcome) if record.outcome is not None else None,
        "feedback": [_feedback_view(part) for part in explain_reward(record, spec)],
        "reward": {
            "quality": reward.quality,
            "weight": reward.weight,
            "parts": dict(reward.parts),
            "arm": attributed.arm,
            "spec": reward.spec,
            "efficiency": _efficiency(reward.quality, record.outcome),
        }
        if reward.weight
        else None,
    }


def _efficiency(quality: float, outcome: Outcome | None) -> float | None:
    """Return the Inference Efficiency Score of an answer, None without an outcome or a price."""
    return inference_efficiency(quality, outcome.latency_s, outcome.cost_usd) if outcome is not None else None


def _feedback_view(part: RewardContribution) -> dict[str, Any]:
    """Return a statement, and what it does for the reward."""
    feedback = part.feedback
    optional = {"text": feedback.text, "other": feedback.compared_arm, "key": feedback.key}
    present = {name: value for name, value in optional.items() if value}
    return {
        "id": public_id(feedback),
        "at": feedback.at,
        "source": feedback.source,
        "metric": feedback.metric,
        "value": feedback.value,
        **present,
        "standing": part.status,
        "quality": part.quality if part.status is FeedbackStatus.COUNTS else None,
        "weight": part.weight,
    }


def _outcome_view(outcome: Outcome) -> dict[str, Any]:
    names = ("arm", "status", "tokens_in", "tokens_out", "cost_usd", "ttft_s", "latency_s", "finish_reason", "attempts")
    more = ("tokens_cached", "estimated", "tools_dropped", "wh")
    tried = [asdict(attempt) for attempt in outcome.tried]
    stages = {"stages": [asdict(stage) for stage in outcome.stages]} if outcome.stages else {}
    return {**{name: getattr(outcome, name) for name in (*names, *more)}, "tried": tried, **stages}


def models_view(names: Iterable[str]) -> dict[str, Any]:
    """Return the list of models as OpenAI's API writes it."""
    return {"object": "list", "data": [model_view(name) for name in names]}


def model_view(name: str) -> dict[str, Any]:
    """Return one model as OpenAI's API writes it."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "highwayman"}
