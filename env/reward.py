"""From the feedback on an answer to one quality in [0, 1] with a weight."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from highwayman.env.errors import InvalidFeedback
from highwayman.env.metric import DEFAULT_METRICS, Metric
from highwayman.env.types import Feedback, Reward


class FeedbackStatus(StrEnum):
    """Whether a statement counts, and if not, why."""

    COUNTS = "counts"
    REPLACED = "replaced"  # by a newer one of the same source and person on the same metric
    TAKEN_BACK = "taken_back"
    UNDECLARED = "undeclared"  # its metric is not declared any more
    NO_QUALITY = "no_quality"  # its metric says nothing of quality
    COMPARES = "compares"  # a preference: no part of the reward, but policies that learn from preferences do so
    UNCALIBRATED = "uncalibrated"  # a weak metric, and no calibration shows yet what it is worth
    NO_INFLUENCE = "no_influence"  # its key or person had as much weight as they may have
    QUARANTINED = "set_aside"  # so is its key
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class RewardContribution:
    """What one statement does for the reward: a quality in [0, 1] with a weight, or nothing, and why.

    Of a preference, `quality` is the share of it that this answer got.
    """

    feedback: Feedback
    status: FeedbackStatus
    quality: float = 0.0
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class RewardSpec:
    """The declared metrics; `version` changes whenever they do."""

    metrics: Mapping[str, Metric]
    version: int = 1

    def metric(self, name: str) -> Metric:
        """Return the metric called `name`. Raises InvalidFeedback."""
        if name not in self.metrics:
            raise InvalidFeedback(f"unknown metric {name!r}; declared are {', '.join(self.metrics)}")
        return self.metrics[name]

    def parse_value(self, metric: str, value: bool | float | str | None) -> float | None:
        """Return `value` as the number to file, None for a retraction.

        Raises:
            InvalidFeedback: unknown metric, or a value it does not take.
        """
        declared = self.metric(metric)
        return None if value is None else declared.numeric_value(value)

    def contributions(self, statement: Iterable[Feedback]) -> list[RewardContribution]:
        """Return what each statement about one decision does for the reward, given in log order.

        The newest value of a (source, metric, person) counts, a retraction removes it. Newest is what was accepted
        last; at the same instant, what reached the log last.
        """
        statements = list(statement)
        newest: dict[tuple[str, str, str], int] = {}
        for place, feedback in enumerate(statements):
            standing = newest.get(dedup_key(feedback))
            if standing is None or feedback.at >= statements[standing].at:
                newest[dedup_key(feedback)] = place
        counting = set(newest.values())
        return [
            self._contribution(feedback) if place in counting else RewardContribution(feedback, FeedbackStatus.REPLACED)
            for place, feedback in enumerate(statements)
        ]

    def reward(self, feedback: Iterable[Feedback]) -> Reward:
        """Return the reward of all feedback on one decision, in log order."""
        return self.aggregate(self.contributions(feedback))

    def aggregate(self, every: Iterable[RewardContribution]) -> Reward:
        """Return the average, by weight, of what counts. Nothing leaves weight 0: censored, not zero."""
        parts: dict[str, float] = {}
        total = weighted = 0.0
        counting = [part for part in every if part.status is FeedbackStatus.COUNTS]
        for part in sorted(counting, key=lambda part: dedup_key(part.feedback)):  # sums of floats depend on the order
            parts[":".join(filter(None, dedup_key(part.feedback)))] = part.quality
            total += part.weight
            weighted += part.weight * part.quality
        return Reward(weighted / total if total else 0.0, total, parts, self.version)

    def _contribution(self, feedback: Feedback) -> RewardContribution:
        """Return what a statement does that nothing newer replaces."""
        metric = self.metrics.get(feedback.metric)
        why = _silent(feedback, metric)
        if why is not None or metric is None or feedback.value is None:
            return RewardContribution(feedback, why or FeedbackStatus.UNDECLARED)
        weight = metric.weight * feedback.weight
        if metric.is_preference:
            return RewardContribution(feedback, FeedbackStatus.COMPARES, feedback.value, weight)
        quality = metric.quality(feedback.value) if feedback.quality is None else feedback.quality
        return (
            RewardContribution(feedback, FeedbackStatus.COUNTS, quality, weight)
            if weight
            else RewardContribution(feedback, FeedbackStatus.NO_INFLUENCE)
        )


def _silent(feedback: Feedback, metric: Metric | None) -> FeedbackStatus | None:
    """Return why a statement does nothing, None if it may do something."""
    if metric is None:
        return FeedbackStatus.UNDECLARED
    if feedback.value is None:
        return FeedbackStatus.TAKEN_BACK
    if not (metric.affects_reward or (metric.is_preference and feedback.compared_arm)):
        return FeedbackStatus.NO_QUALITY
    return FeedbackStatus.UNCALIBRATED if metric.weak and feedback.quality is None else None


def dedup_key(feedback: Feedback) -> tuple[str, str, str]:
    """Return source, metric and person: of each, the newest statement on a decision counts."""
    return feedback.source, feedback.metric, feedback.user


def reward_spec(metrics: Sequence[Metric]) -> RewardSpec:
    """Return the spec of these metrics beside the default ones, which they replace where names are the same."""
    declared = {metric.name: metric for metric in (*DEFAULT_METRICS, *metrics)}
    if declared == dict(DEFAULT_SPEC.metrics):
        return DEFAULT_SPEC
    plain = [_plain(metric) for _, metric in sorted(declared.items())]
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=4).digest()
    return RewardSpec(MappingProxyType(declared), 2 + int.from_bytes(digest) % (2**31 - 2))


def _plain(metric: Metric) -> list[tuple[str, object]]:
    """Return the fields that rewards depend on, in one order."""
    fields = asdict(replace(metric, window_s=None, senders=frozenset()))
    return sorted({**fields, "kind": str(metric.kind), "choices": sorted(metric.choices.items())}.items())


DEFAULT_SPEC = RewardSpec(MappingProxyType({metric.name: metric for metric in DEFAULT_METRICS}))
