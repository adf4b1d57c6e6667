"""What each policy in question would have earned on a log, beside what the log's own policy did."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.judged import LogWithTargets, target_probs
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import Estimate, Estimator, Interval
from highwayman.sims.ope.estimators.on_policy import OnPolicy
from highwayman.sims.ope.estimators.ratios import ratios
from highwayman.sims.ope.estimators.rewards import RewardKind, Target, rewards_of
from highwayman.sims.ope.estimators.snips import SNIPS
from highwayman.sims.ope.evaluation import compare, evaluate
from highwayman.sims.ope.intervals.confidence_sequence import ConfidenceSequence
from highwayman.sims.ope.intervals.normal import Normal

EDGES = tuple(float(edge) for edge in np.geomspace(1e-3, 1e3, 49))  # of importance ratios
KINDS: tuple[RewardKind, ...] = ("quality", "cost_usd", "utility")

Chunks = Callable[[], Iterable[LogWithTargets]]


class PolicyVerdict(StrEnum):
    """What the log says of a policy against the one that ran."""

    MORE = "earns more"
    LESS = "earns less"
    UNCLEAR = "no difference shown"
    REFUSED = "the log cannot tell"


@dataclass(frozen=True, slots=True)
class EstimationMethod:
    """How values are estimated, and which of them decides."""

    estimator: Estimator = field(default_factory=SNIPS)
    interval: Interval = field(default_factory=Normal)
    reward: RewardKind = "utility"


@dataclass(frozen=True, slots=True)
class LoggedMean:
    """A mean of the log as it is, with its interval; NaN where there is no round."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class LoggedPolicyValue:
    """What the log's own policy earned per round."""

    rounds: int
    first_at: float  # seconds since the epoch
    last_at: float
    shares: dict[str, float]  # of the rounds, by arm
    means: dict[RewardKind, LoggedMean]


@dataclass(frozen=True, slots=True)
class PolicyEstimate:
    """What one policy would have earned per round."""

    policy: str
    values: dict[RewardKind, Estimate]  # what no round knows is not here
    gain: Estimate  # over the policy that ran, in the reward that decides
    shares: dict[str, float]  # probability of each arm, averaged over the rounds
    ratios: tuple[int, ...]  # rounds by importance ratio, between EDGES

    @property
    def verdict(self) -> PolicyVerdict:
        """What may be said of it."""
        if self.gain.refused:
            return PolicyVerdict.REFUSED
        if self.gain.low > 0:
            return PolicyVerdict.MORE
        return PolicyVerdict.LESS if self.gain.high < 0 else PolicyVerdict.UNCLEAR


def logged_policy_value(chunks: Chunks, interval: Interval) -> LoggedPolicyValue:
    """Return what the log's own policy did and earned.

    Raises:
        LogError: the log gives another number of rounds when it is read again.
    """
    chunks = _fit_for(interval, chunks)
    rounds, first, last = 0, np.inf, -np.inf
    counts: dict[str, int] = {}
    for log in chunks():
        rounds += log.n
        first, last = min(first, log.at.min(initial=np.inf)), max(last, log.at.max(initial=-np.inf))
        for arm, count in zip(log.arms, np.bincount(log.actions, minlength=len(log.arms)).tolist(), strict=True):
            counts[arm] = counts.get(arm, 0) + count
    shares = {arm: count / rounds for arm, count in counts.items()}
    means = {kind: _mean(chunks, kind, interval) for kind in KINDS}
    return LoggedPolicyValue(rounds, float(first), float(last), shares, means)


def compare_policies(
    chunks: Chunks, policies: Sequence[str], method: EstimationMethod, *, known: LoggedPolicyValue
) -> list[PolicyEstimate]:
    """Return what each policy would have earned, in the order of the log's targets.

    Args:
        chunks: reads the judged log from the beginning, whenever it is called.
        policies: a name for each target.
        method: how to estimate, and what decides.
        known: of the same log.

    Raises:
        ValueError: a target is no distribution; names the row.
        LogError: a round that cannot be estimated with.
    """
    chunks, kinds = _fit_for(method.interval, chunks), [kind for kind in KINDS if known.means[kind].n]
    return [_answer(chunks, name, number, (method, kinds)) for number, name in enumerate(policies)]


def best_fixed_arm(
    chunks: Chunks, arms: Collection[str], method: EstimationMethod, *, known: LoggedPolicyValue
) -> PolicyEstimate | None:
    """Return what the best single arm would have earned; None where the log can tell of no arm.

    The best is the one of the highest mean where it answered, weighed by propensity (self-normalised, Swaminathan &
    Joachims, NeurIPS 2015), of those that the log can tell of. It is picked by the numbers it is then judged by, so it
    looks a little better than it is. Where it could not answer, any of the others does, as with the policy `Fixed`.
    Rewards of whole conversations are left out: no single draw earned them.

    Args:
        chunks: as in `compare_policies`.
        arms: that may be it.
        method: how to estimate, and what decides.
        known: of the same log.
    """
    kinds = [kind for kind in KINDS if known.means[kind].n]
    alone = partial(_without_shared_rewards, chunks)
    means = _means_where_taken(alone, method.reward)
    for arm in sorted(means.keys() & set(arms), key=lambda arm: (-means[arm], arm)):
        named = f"best fixed: {arm}", always(arm)
        estimate = _estimate(_fit_for(method.interval, chunks), alone, named, (method, kinds))
        if not estimate.gain.refused:
            return estimate
    return None


def _means_where_taken(chunks: Chunks, reward: RewardKind) -> dict[str, float]:
    """Return each arm's mean reward in the rounds it answered, weighed by propensity; no arm without any."""
    sums: dict[str, Floats] = {}
    for log in chunks():
        rewards = rewards_of(log, reward)
        rows = ~np.isnan(rewards)
        weights = (log.learning_weights() / log.propensities)[rows]
        parts = [
            np.bincount(log.actions[rows], numbers, minlength=len(log.arms))
            for numbers in (weights * rewards[rows], weights)
        ]
        for arm, part in zip(log.arms, np.stack(parts, axis=1), strict=True):
            sums[arm] = sums.get(arm, np.zeros(2)) + part
    return {arm: float(total / weight) for arm, (total, weight) in sums.items() if weight > 0}


def always(arm: str) -> Target:
    """Return the probabilities (n, K) of taking one arm wherever it is eligible, any of the others alike elsewhere."""

    def target(log: LoggedData) -> Floats:
        able = log.eligible[:, [name == arm for name in log.arms]].any(axis=1, keepdims=True)  # (n, 1)
        chosen = np.where(able, [name == arm for name in log.arms], log.eligible)
        return np.asarray(chosen / chosen.sum(axis=1, keepdims=True), dtype=np.float64)

    return target


_MethodAndKinds = tuple[EstimationMethod, Sequence[RewardKind]]


def _answer(chunks: Chunks, name: str, number: int, method_and_kinds: _MethodAndKinds) -> PolicyEstimate:
    return _estimate(chunks, partial(_seen_by, chunks, number), (name, target_probs(number)), method_and_kinds)


def _estimate(
    chunks: Chunks, whole: Chunks, named: tuple[str, Target], method_and_kinds: _MethodAndKinds
) -> PolicyEstimate:
    (name, target), (method, kinds) = named, method_and_kinds
    value_of = partial(evaluate, target=target, estimator=method.estimator, interval=method.interval)
    return PolicyEstimate(
        name,
        # A cost is one draw's; what was said may be of several.
        {kind: value_of(chunks if kind == "cost_usd" else whole, reward=kind) for kind in kinds},
        compare(whole, target, estimator=method.estimator, interval=method.interval, reward=method.reward),
        _shares(chunks, target),
        _counts(whole, target),
    )


def _fit_for(interval: Interval, chunks: Chunks) -> Chunks:
    """Return the chunks, without rewards of whole conversations for an interval that takes draws one after another."""
    return partial(_without_shared_rewards, chunks) if isinstance(interval, ConfidenceSequence) else chunks


def _without_shared_rewards(chunks: Chunks) -> Iterator[LogWithTargets]:
    for chunk in chunks():
        yield chunk.without_shared_rewards()


def _seen_by(chunks: Chunks, number: int) -> Iterator[LogWithTargets]:
    for chunk in chunks():
        yield chunk.seen_by(number)


def _mean(chunks: Chunks, kind: RewardKind, interval: Interval) -> LoggedMean:
    n = sum(int((~np.isnan(rewards_of(log, kind))).sum()) for log in chunks())
    if not n:
        return LoggedMean(np.nan, np.nan, np.nan, 0)
    estimate = evaluate(chunks, _as_drawn, estimator=OnPolicy(), interval=interval, reward=kind)
    return LoggedMean(estimate.value, estimate.low, estimate.high, n)


def _as_drawn(log: LoggedData) -> Floats:
    """Return a distribution over the arms of each round, for an estimator that asks for none in particular."""
    probs = np.zeros(log.penalties.shape)
    probs[np.arange(log.n), log.actions] = 1.0
    return probs


def _shares(chunks: Chunks, target: Target) -> dict[str, float]:
    """Return the probability of each arm, averaged over the rounds."""
    totals: dict[str, float] = {}
    rounds = 0
    for log in chunks():
        rounds += log.n
        for arm, total in zip(log.arms, target(log).sum(axis=0).tolist(), strict=True):
            totals[arm] = totals.get(arm, 0.0) + total
    return {arm: total / rounds for arm, total in totals.items()}


def _counts(chunks: Chunks, target: Target) -> tuple[int, ...]:
    """Return how many rounds have an importance ratio between two EDGES; what lies beyond them counts at their ends."""
    counts = np.zeros(len(EDGES) - 1, dtype=np.int64)
    for log in chunks():
        counts += np.histogram(np.clip(ratios(log, target(log)), EDGES[0], EDGES[-1]), EDGES)[0]
    return tuple(int(count) for count in counts)
