"""What a policy would have earned that learns while it runs: replay of a log, round by round, by rejection."""

import math
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from highwayman.bandit.draw import draw
from highwayman.bandit.policy import Policy
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.logs.logged import Indices, LoggedData
from highwayman.sims.ope.estimate import Interval, RoundValues
from highwayman.sims.ope.estimators.ratios import checked, ones
from highwayman.sims.ope.estimators.rewards import RewardKind, limits_of, rewards_of
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.ope.intervals.session_sums import SessionSums

LEAST_ACCEPTED = 50


@dataclass(frozen=True, slots=True, eq=False)
class RejectionResult:
    """The rounds of a log that became the policy's own."""

    rows: Indices  # (m,) rounds accepted, in order, with a reward or without
    rewards: Floats  # (m,) NaN: no feedback
    value: float  # mean reward of the accepted rounds that have one; NaN: none has
    stderr: float
    low: float
    high: float
    warnings: tuple[str, ...]

    @property
    def count(self) -> int:
        """The number of rounds accepted that have a reward."""
        return int((~np.isnan(self.rewards)).sum())


def rejection_replay(
    policy: Policy,
    log: LoggedData,
    *,
    floor: float,
    rng: np.random.Generator,
    cap: float | None = None,
    reward: RewardKind = "quality",
    interval: Interval | None = None,
) -> RejectionResult:
    """Return what `policy` earns on the rounds of `log` that it might as well have decided itself.

    A round is accepted with probability ratio / cap, where the ratio is the policy's probability of the action taken,
    floor mixed in, over its propensity. Accepted rounds are distributed as if the policy had drawn them, given what it
    learned of those accepted before; the others it never learns from. On a uniform log that is Li et al., "Unbiased
    Offline Evaluation of Contextual-bandit-based News Article Recommendation Algorithms", WSDM 2011; with other
    propensities Dudik, Erhan, Langford & Li, "Sample-efficient Nonstationary Policy Evaluation for Contextual
    Bandits", UAI 2012, section 4, without their reward model. Routing breaks the independence of rounds they assume:
    prompts of one person, and prices, come in runs. Feedback is taken to arrive at once.

    Args:
        policy: learns quality from the rounds accepted.
        log: in the order decided.
        floor: mixed into the policy's probabilities as in production.
        rng: draws acceptances.
        cap: the largest ratio provided for; by default 1 / the least propensity, which none exceeds. A smaller one
            accepts more rounds, and takes too few of those whose ratio exceeds it (a warning says how many).
        reward: what to sum up; the policy learns quality in any case.
        interval: a fresh one, `Normal` by default; it is copied.

    Raises:
        LogError: a round that cannot have happened, by its row.
        ValueError: `cap` is not > 0, or the policy gives no distribution.
    """
    log.check()
    limit = checked("cap", cap) if cap is not None else 1.0 / float(log.propensities.min(initial=1.0))
    for arm in log.arms:
        policy.add_arm(arm)
    rows, over = [], 0
    for row in range(log.n):
        ratio = _probability(policy, log, row, (floor, rng)) / float(log.propensities[row])
        over += ratio > limit * (1 + 1e-9)
        if rng.random() * limit < ratio:
            rows.append(row)
            _teach(policy, log, row)
    accepted = np.array(rows, dtype=np.intp)
    low, high = limits_of(lambda: [log], reward)
    measured = _measured(log.take(accepted), reward, (low, high - low), deepcopy(interval) if interval else Normal())
    return RejectionResult(accepted, *measured, _warnings(log.n, measured[0], over, limit))


def _probability(policy: Policy, log: LoggedData, row: int, mixing: tuple[float, np.random.Generator]) -> float:
    """Return with what probability the policy, floor mixed in, takes the action that was taken."""
    eligible = np.flatnonzero(log.eligible[row])
    arms = [log.arms[k] for k in eligible]
    probs = policy.probs(_context(log, row), arms, log.penalties[row, eligible])
    floor, rng = mixing
    mixed = draw(probs, floor=floor, rng=rng).probs  # the arm it draws does not matter: the log's stands
    return float(mixed[np.searchsorted(eligible, log.actions[row])])


def _context(log: LoggedData, row: int) -> Context:
    return Context(log.contexts[row], log.encoder, prompt_tokens=0)  # a log does not keep the tokens


def _teach(policy: Policy, log: LoggedData, row: int) -> None:
    quality = float(log.rewards[row])
    if not math.isnan(quality):
        arm = log.arms[log.actions[row]]
        weight = float(log.weights[row] / log.kept[row])
        sums = (weight, weight * quality, weight * quality**2)
        policy.learn([RewardChange(arm, log.contexts[row], *sums, float(log.at[row]))])


def _measured(
    log: LoggedData, reward: RewardKind, scale: tuple[float, float], ends: Interval
) -> tuple[Floats, float, float, float, float]:
    """Return rewards, their mean, its standard error and the interval's ends, computed with rewards in [0, 1]."""
    rewards = rewards_of(log, reward)
    known = ~np.isnan(rewards)
    zero, width = scale
    n = int(known.sum())
    values = (rewards[known] - zero) / width
    rounds = RoundValues(values, ones(n), ones(n), log.sessions[known], 0.0, 1.0, martingale=True)
    rounds = rounds.weighted(1.0 / log.kept[known] if reward == "cost_usd" else log.learning_weights()[known])
    sums = SessionSums()
    sums.add(rounds)
    ends.add(rounds)
    low, high = ends.interval()
    return rewards, zero + width * sums.value(), width * sums.stderr()[0], zero + width * low, zero + width * high


def _warnings(n: int, rewards: Floats, over: int, limit: float) -> tuple[str, ...]:
    known = int((~np.isnan(rewards)).sum())
    warnings = []
    if known < LEAST_ACCEPTED:
        warnings.append(
            f"{known} of {n} rounds were accepted and have a reward, fewer than {LEAST_ACCEPTED}: "
            "replay needs a longer log, or one with more exploration"
        )
    if known < len(rewards):
        warnings.append(
            f"{len(rewards) - known} of the {len(rewards)} rounds accepted have no reward, and taught nothing"
        )
    if over:
        warnings.append(
            f"in {over} of {n} rounds the ratio exceeded the cap {limit:g}: their kind is accepted too rarely, and the "
            "value leans towards the policy that logged"
        )
    return tuple(warnings)
