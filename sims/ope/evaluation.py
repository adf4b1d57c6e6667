"""A policy's value from another policy's log, with an interval, or with the reasons why the log cannot tell.

The log is given as a callable that reads it anew, in chunks, so it may be larger than memory. It is read once for the
values, once before that if the estimator learns a model, and once more to find the range of utilities or costs where
no `limits` say it.
"""

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Final

from highwayman.sims.ope.estimate import Estimate, Estimator, Interval, RoundValues
from highwayman.sims.ope.estimators.difference import Difference, as_logged
from highwayman.sims.ope.estimators.rewards import Chunks, RewardKind, RewardReading, Target
from highwayman.sims.ope.estimators.snips import SNIPS
from highwayman.sims.ope.estimators.support import SupportTally
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.ope.intervals.pseudo_rounds import SteadiedInterval, pseudo_rounds
from highwayman.sims.ope.intervals.session_sums import SessionSums

_OWNERS: Final = ("", "of the other policy: ")


def evaluate(
    chunks: Chunks,
    target: Target,
    *,
    estimator: Estimator | None = None,
    interval: Interval | None = None,
    reward: RewardKind = "quality",
    limits: tuple[float, float] | None = None,
) -> Estimate:
    """Return what the policy `target` would have earned per round on the log.

    Args:
        chunks: gives the log, in order, whenever it is called.
        target: gives the policy's probabilities (n, K) on some rounds.
        estimator: a fresh one, `SNIPS` by default; it is copied, not changed.
        interval: a fresh one, `Normal` by default; it is copied, not changed.
        reward: what to sum up. Rounds where it is unknown are left out, counted and warned of.
        limits: the range of rewards, which estimators see scaled to [0, 1]; by default `limits_of`.

    Raises:
        ValueError: a row of the target's probabilities is no distribution, or an option cannot be.
        LogError: a round that cannot be estimated with, by its row.
    """
    reading = RewardReading.of(chunks, reward, limits)
    method = _fitted(estimator, reading)
    ends = deepcopy(interval) if interval is not None else Normal()
    sums, tally = SessionSums(), SupportTally()
    for block in reading.blocks():
        probs = block.probs(target)
        rounds = method.rounds(block.log, probs).weighted(block.log.weights)
        tally.add(block, probs, rounds)
        sums.add(rounds)
        ends.add(rounds)
    support = tally.support()
    if isinstance(ends, SteadiedInterval) and support.ess > 0:
        total = sums.total()
        ends.steady(pseudo_rounds(sums.value(), total / support.n, [total / support.ess] * 4))
    return _estimate((reading.low, reading.span), sums, ends, [tally])


def compare(
    chunks: Chunks,
    target: Target,
    other: Target | None = None,
    *,
    estimator: Estimator | None = None,
    interval: Interval | None = None,
    reward: RewardKind = "quality",
    limits: tuple[float, float] | None = None,
) -> Estimate:
    """Return how much more `target` would have earned per round than `other`, or than the log's own policy did.

    Both are estimated on the same rounds, so what these have in common cancels, in the interval too. Of
    self-normalised estimators the difference is linearised at the two values (delta method), for which the log is read
    once more. A confidence sequence bets on ratio * reward + other ratio * (1 - reward), whose mean is 1 + difference;
    that cancels well against the log's own policy, less well between two others.

    Args:
        chunks: as for `evaluate`, and so are the options.
        target: the policy to evaluate.
        other: the policy to beat; None: the one that logged, whose value is the mean reward.
        estimator: of both values.
        interval: of the difference.
        reward: what to sum up.
        limits: the range of rewards.

    Raises:
        ValueError, LogError: as `evaluate`.
    """
    reading = RewardReading.of(chunks, reward, limits)
    method = _fitted(estimator, reading)
    tallies = [SupportTally()] if other is None else [SupportTally(), SupportTally()]
    template = interval if interval is not None else Normal()
    difference = Difference(template)
    for pair in _pairs(reading, method, (target, other), tallies):
        difference.add(*pair)
    if difference.self_normalised:
        difference = difference.linearised(template)
        for pair in _pairs(reading, method, (target, other), None):
            difference.add(*pair)
    difference.steady([tally.support().ess for tally in tallies])
    return _estimate((-reading.span, 2 * reading.span), difference.sums, difference.ends, tallies)


def _fitted(estimator: Estimator | None, reading: RewardReading) -> Estimator:
    """Return a copy of the estimator that has learned what it needs of the log."""
    method: Estimator = deepcopy(estimator) if estimator is not None else SNIPS()
    if getattr(method, "learns", True):
        for block in reading.blocks():
            method.fit(block.log)
    return method


def _pairs(
    reading: RewardReading,
    method: Estimator,
    targets: tuple[Target, Target | None],
    tallies: Sequence[SupportTally] | None,
) -> Iterator[tuple[RoundValues, RoundValues]]:
    """Yield the rounds of both policies, block by block, and count their support."""
    for block in reading.blocks():
        pair = []
        for number, target in enumerate(targets):
            if target is None:
                pair.append(as_logged(block.log).weighted(block.log.weights))
                continue
            probs = block.probs(target)
            pair.append(method.rounds(block.log, probs).weighted(block.log.weights))
            if tallies is not None:
                tallies[number].add(block, probs, pair[-1])
        yield pair[0], pair[1]


def _estimate(
    scale: tuple[float, float], sums: SessionSums, ends: Interval, tallies: Sequence[SupportTally]
) -> Estimate:
    """Return the estimate, scaled from [0, 1] to the rewards' units: `scale` is the zero and the width."""
    zero, width = scale
    low, high = ends.interval()
    supports = [tally.support() for tally in tallies]
    refused = [
        f"{owner}{reason}" for owner, tally in zip(_OWNERS, tallies, strict=False) for reason in tally.refusals()
    ]
    warnings = [
        f"{owner}{warning}" for owner, tally in zip(_OWNERS, tallies, strict=False) for warning in tally.warnings()
    ]
    if low > high:
        refused.append("the interval is empty, which right propensities all but rule out")
    if math.isnan(low) and supports[0].n:
        warnings.append(
            f"{type(ends).__name__} has nothing to say of these rounds; its documentation says what it needs"
        )
    return Estimate(
        value=zero + width * sums.value(),
        stderr=width * sums.stderr()[0],
        low=zero + width * low,
        high=zero + width * high,
        support=min(supports, key=lambda support: support.ess),
        refused=tuple(refused),
        warnings=tuple(dict.fromkeys(warnings)),
    )
