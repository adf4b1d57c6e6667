"""What a decision's candidates were worth, by name, and why the other arms of the pool were none."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from highwayman.bandit.policy import QuantifiesQuality
from highwayman.env.data_class import told_by
from highwayman.env.encoder.features.tags import translated
from highwayman.env.pool.eligibility import refuses_draining
from highwayman.env.types import Arm, ControlKind, Decision, Mode, Query
from highwayman.feedback.fold.tallies.change_list import RecordedChange
from highwayman.feedback.fold.tally_quotes import TallyQuotes
from highwayman.feedback.log.record import Record
from highwayman.serving.decisions.words import ArmNumbers, why
from highwayman.serving.services import Services

_NOT_ON_THE_LOG = (
    "what the request needed (pictures, tools, a limit on price or quality, the budget) left it out; the log does not "
    "say which"
)


def explained(record: Record, services: Services) -> dict[str, Any]:
    """Return each candidate's numbers by name, why others were out, and in words why this arm; of a decision's record.

    Penalties and probabilities are those on the log. What quality is expected, and what a call costs, is by the version
    in force now (`beliefs.version`), as beliefs are not logged; null where they say nothing.
    """
    decision = record.decision
    if decision is None:
        return {}
    quality, deviations = believed_quality(decision, decision.arms, services)
    usd = _usd(decision, services)
    arms = [
        ArmNumbers(name, float(decision.probs[k]), quality[k], deviations[k], float(decision.penalties[k]))
        for k, name in enumerate(decision.arms)
    ]
    said, version = why(decision, arms, record.outcome), services.live.version
    if decision.mode is not Mode.FORCED and version != decision.policy_version:
        said += f" Beliefs are those of version {version}; it was drawn by version {decision.policy_version}."
    return {
        "why": said,
        "beliefs": {"version": version, "decided_at_version": decision.policy_version},
        "candidates": {arm.name: {**_numbers(arm), "expected_usd": _or_null(usd.get(arm.name))} for arm in arms},
        "left_out": {
            arm.name: "it joined the pool later"
            if joined_later(arm.name, decision.at, services.live.tally.history.changes)
            else _why_out(arm, decision)
            for arm in services.pool.arms.values()
            if arm.name not in decision.arms
        },
    }


def believed_quality(decision: Decision, arms: Sequence[str], services: Services) -> tuple[list[float], list[float]]:
    """Return expected quality and deviation of each arm for a decision's query, by who decides now; NaN: unknown."""
    policy = services.router.ramp.champion_for(decision.tenant) or services.live.policy_for(decision.tenant)
    context = translated(decision.context, services.encoder.fingerprint)
    if context is None or not isinstance(policy, QuantifiesQuality):
        return [math.nan] * len(arms), [math.nan] * len(arms)
    quality, deviations = policy.quality_and_deviation(context.features, arms)
    return quality.tolist(), deviations.tolist()


def _usd(decision: Decision, services: Services) -> Mapping[str, float]:
    """Return what a call to each arm of the pool is expected to cost by now."""
    arms = tuple(services.pool.arms.values())
    quotes = TallyQuotes(arms)
    quotes.follow(services.live.tally)
    context = translated(decision.context, services.encoder.fingerprint) or decision.context
    return dict(zip(services.pool.arms, quotes.estimates(context).usd.tolist(), strict=True))


def _numbers(arm: ArmNumbers) -> dict[str, float | None]:
    return {
        "probability": arm.probability,
        "expected_quality": _or_null(arm.quality),
        "deviation": _or_null(arm.deviation),
        "penalty": arm.penalty,
        "utility": _or_null(arm.utility),
    }


def _or_null(number: float | None) -> float | None:
    return None if number is None or math.isnan(number) else number


def joined_later(name: str, at: float, changes: Iterable[RecordedChange]) -> bool:
    """Return whether an arm was not in the pool at a time: the first that is known of it since then is that it came."""
    kinds = (ControlKind.ARM_ADDED, ControlKind.ARM_DROPPED)
    since = (c.kind for c in changes if c.at > at and c.kind in kinds and c.detail.get("arm") == name)
    return next(since, None) is ControlKind.ARM_ADDED


def _why_out(arm: Arm, decision: Decision) -> str:
    """Return why an arm was no candidate: by the log where it tells, else by what holds now."""
    if decision.mode is Mode.FORCED:
        return f"the caller named {decision.arm}"
    if decision.mode is Mode.STICKY:
        return f"{decision.arm} called the tool whose result this is"
    if arm.name in decision.context.resting:
        return "its servers rested after failures"
    told = told_by(decision.context.flags)
    masked = told["masked"] if told is not None else ()
    if isinstance(masked, list) and arm.name in masked:
        return "its zone may not have data of this class"
    if decision.context.prompt_tokens > arm.context_window_tokens:
        return f"its window of {arm.context_window_tokens} tokens is smaller than the prompt"
    return refuses_draining(arm, Query("", 0), 0) or _NOT_ON_THE_LOG
