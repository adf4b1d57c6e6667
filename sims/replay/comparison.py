"""What each policy in question would have earned on a log, beside what the log's own policy did."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.judged import Judged, target
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import Estimate, Estimator, Interval
from highwayman.sims.ope.estimators.on_policy import OnPolicy
from highwayman.sims.ope.estimators.ratios import ratios
from highwayman.sims.ope.estimators.rewards import RewardKind, Target, rewards_of
from highwayman.sims.ope.estimators.snips import SNIPS
from highwayman.sims.ope.evaluation import compare, evaluate
from highwayman.sims.ope.intervals.normal import Normal

EDGES = tuple(float(edge) for edge in np.geomspace(1e-3, 1e3, 49))  # of importance ratios
KINDS: tuple[RewardKind, ...] = ("quality", "cost_usd", "utility")

Chunks = Callable[[], Iterable[Judged]]


class Verdict(StrEnum):
    """What the log says of a policy against the one that ran."""

    MORE = "earns more"
    LESS = "earns less"
    UNCLEAR = "no difference shown"
    REFUSED = "the log cannot tell"


@dataclass(frozen=True, slots=True)
class Method:
    """How values are estimated, and which of them decides."""

    estimator: Estimator = field(default_factory=SNIPS)
    interval: Interval = field(default_factory=Normal)
    reward: RewardKind = "utility"


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of the log as it is, with its interval; NaN where there is no round."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class AsItRan:
    """What the log's own policy earned per round."""

    rounds: int
    first_at: float  # seconds since the epoch
    last_at: float
    shares: dict[str, float]  # of the rounds, by arm
    means: dict[RewardKind, Mean]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one policy would have earned per round."""

    policy: str
    values: dict[RewardKind, Estimate]  # what no round knows is not here
    gain: Estimate  # over the policy that ran, in the reward that decides
    shares: dict[str, float]  # probability of each arm, averaged over the rounds
    ratios: tuple[int, ...]  # rounds by importance ratio, between EDGES

    @property
    def verdict(self) -> Verdict:
        """What may be said of it."""
        if self.gain.refused:
            return Verdict.REFUSED
        if self.gain.low > 0:
            return Verdict.MORE
        return Verdict.LESS if self.gain.high < 0 else Verdict.UNCLEAR


def as_it_ran(chunks: Chunks, interval: Interval) -> AsItRan:
    """Return what the log's own policy did and earned.

    Raises:
        LogError: the log gives another number of rounds when it is read again.
    """
    rounds, first, last = 0, np.inf, -np.inf
    counts: dict[str, int] = {}
    for log in chunks():
        rounds += log.n
        first, last = min(first, log.at.min(initial=np.inf)), max(last, log.at.max(initial=-np.inf))
        for arm, count in zip(log.arms, np.bincount(log.actions, minlength=len(log.arms)).tolist(), strict=True):
            counts[arm] = counts.get(arm, 0) + count
    shares = {arm: count / rounds for arm, count in counts.items()}
    means = {kind: _mean(chunks, kind, interval) for kind in KINDS}
    return AsItRan(rounds, float(first), float(last), shares, means)


def judge(chunks: Chunks, policies: Sequence[str], method: Method, *, known: AsItRan) -> list[Answer]:
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
    said = [kind for kind in KINDS if known.means[kind].n]
    return [_answer(chunks, name, number, (method, said)) for number, name in enumerate(policies)]


def _answer(chunks: Chunks, name: str, number: int, how: tuple[Method, Sequence[RewardKind]]) -> Answer:
    method, said = how
    wish: Target = target(number)
    asked = partial(evaluate, chunks, wish, estimator=method.estimator, interval=method.interval)
    return Answer(
        name,
        {kind: asked(reward=kind) for kind in said},
        compare(chunks, wish, estimator=method.estimator, interval=method.interval, reward=method.reward),
        _shares(chunks, wish),
        _counts(chunks, wish),
    )


def _mean(chunks: Chunks, kind: RewardKind, interval: Interval) -> Mean:
    n = sum(int((~np.isnan(rewards_of(log, kind))).sum()) for log in chunks())
    if not n:
        return Mean(np.nan, np.nan, np.nan, 0)
    found = evaluate(chunks, _as_drawn, estimator=OnPolicy(), interval=interval, reward=kind)
    return Mean(found.value, found.low, found.high, n)


def _as_drawn(log: LoggedData) -> Floats:
    """Return a distribution over the arms of each round, for an estimator that asks for none in particular."""
    found = np.zeros(log.penalties.shape)
    found[np.arange(log.n), log.actions] = 1.0
    return found


def _shares(chunks: Chunks, wish: Target) -> dict[str, float]:
    """Return the probability of each arm, averaged over the rounds."""
    totals: dict[str, float] = {}
    rounds = 0
    for log in chunks():
        rounds += log.n
        for arm, total in zip(log.arms, wish(log).sum(axis=0).tolist(), strict=True):
            totals[arm] = totals.get(arm, 0.0) + total
    return {arm: total / rounds for arm, total in totals.items()}


def _counts(chunks: Chunks, wish: Target) -> tuple[int, ...]:
    """Return how many rounds have an importance ratio between two EDGES; what lies beyond them counts at their ends."""
    counts = np.zeros(len(EDGES) - 1, dtype=np.int64)
    for log in chunks():
        counts += np.histogram(np.clip(ratios(log, wish(log)), EDGES[0], EDGES[-1]), EDGES)[0]
    return tuple(int(count) for count in counts)
