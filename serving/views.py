"""What the read-only routes show, as plain data."""

from collections.abc import Iterable
from typing import Any

from highwayman.env.reward import RewardSpec
from highwayman.env.types import Outcome
from highwayman.feedback.join import Record, credit
from highwayman.serving.live_policy import LivePolicy


def policy_view(live: LivePolicy, name: str, arms: Iterable[str]) -> dict[str, Any]:
    """Return the policy in force and each arm's numbers, counted over the whole log."""
    return {"policy": name, "version": live.version, "arms": {arm: _arm_view(live, arm) for arm in arms}}


def _arm_view(live: LivePolicy, name: str) -> dict[str, Any]:
    tally = live.tally.arm(name)
    mean, low, high = tally.quality()
    return {
        "share": live.tally.share(name),
        "recent_share": live.tally.recent_share(name),
        "decisions": tally.decisions,
        "feedback": tally.feedback,
        "quality": mean,
        "quality_low": low,
        "quality_high": high,
        "cost_usd": tally.cost_usd,
        "latency_s": tally.latency_s / tally.calls if tally.calls else None,
        "failures": tally.failures,
    }


def decision_view(record: Record, spec: RewardSpec) -> dict[str, Any]:
    """Return what was decided, why, and what came of it."""
    decision, reward = record.decision, credit(record, spec).reward
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
        "arms": list(decision.arms),
        "probs": decision.probs.tolist(),
        "penalties": decision.penalties.tolist(),
        "context": {
            "encoder": decision.context.fingerprint,
            "features": len(decision.context.features),
            "prompt_tokens": decision.context.prompt_tokens,
            "flags": sorted(decision.context.flags),
        },
        "outcome": _outcome_view(record.outcome) if record.outcome is not None else None,
        "feedback": [
            {"at": said.at, "source": said.source, "metric": said.metric, "value": said.value}
            for said in record.feedback.values()
        ],
        "reward": {"quality": reward.quality, "weight": reward.weight, "parts": dict(reward.parts)}
        if reward.weight
        else None,
    }


def _outcome_view(outcome: Outcome) -> dict[str, Any]:
    names = ("arm", "status", "tokens_in", "tokens_out", "cost_usd", "ttft_s", "latency_s", "finish_reason", "attempts")
    return {name: getattr(outcome, name) for name in names}


def models_view(names: Iterable[str]) -> dict[str, Any]:
    """Return the list of models as OpenAI's API writes it."""
    return {"object": "list", "data": [model_view(name) for name in names]}


def model_view(name: str) -> dict[str, Any]:
    """Return one model as OpenAI's API writes it."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "highwayman"}
