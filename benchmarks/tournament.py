"""What the tournament's bounds are worth: false promotions, promotions of what is better, guards, and cost.

    python -m benchmarks.tournament [--tournaments 500] [--rounds 10000] [--events 12000]

All of it is simulated, four arms with answers that are good or bad. `explores` is the share of its probability that the
champion spends beside its favourite arm; the less it is, the less its log tells of anybody else.
"""

import argparse
import math
import os
import time
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.learner import ARMS as NAMES
from benchmarks.learner import D, decision, outcome
from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy
from highwayman.bandit.policy import Policy
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Feedback, Floats
from highwayman.feedback.fold.learner import Learner, LogEntry
from highwayman.feedback.log.record import Record
from highwayman.feedback.tournament.contenders import PolicyContender
from highwayman.feedback.tournament.contrast import PolicyContrast, contrast
from highwayman.feedback.tournament.paired_bets import (
    FIRST_SPREAD,
    LEVELS,
    log_capital,
    log_factors,
    next_spread,
    stake_level,
)
from highwayman.feedback.tournament.scored_learner import ScoredLearner, Scoring

ARMS = 4
ALPHA = 0.05
CHALLENGERS = 3
STEPS, STEP_ROUNDS = (0.01, 0.05, 0.25, 1.0), 500


@dataclass(frozen=True, slots=True)
class World:
    """Rounds of two kinds, by which the policies tell the arms apart."""

    kinds: Floats  # (n,) 0 or 1
    quality: Floats  # (n, K) chance of a good answer
    logged: Floats  # (n, K)
    actions: np.ndarray  # (n,)
    rewards: Floats  # (n,)


def leaning(favourites: np.ndarray, explores: float) -> Floats:
    """Return probabilities (n, K) of a policy with these favourite arms (n,)."""
    probs = np.full((len(favourites), ARMS), explores / ARMS)
    probs[np.arange(len(favourites)), favourites] += 1.0 - explores
    return probs


def world(
    rng: np.random.Generator, *, quality: Floats, champion: Floats, kinds: np.ndarray, on_trial: Floats | None = None
) -> World:
    """Return the rounds of these kinds (n,), drawn from the champion's probabilities (n, K), mixed with a challenger's.

    `quality` is (2, K); the challenger on trial, (n, K), has the shares of the first steps of the ramp.
    """
    n = len(kinds)
    logged = champion if on_trial is None else champion + trial_shares(n)[:, None] * (on_trial - champion)
    actions = (logged.cumsum(axis=1) > rng.random(n)[:, None]).argmax(axis=1)
    rewards = (rng.random(n) < quality[kinds, actions]).astype(np.float64)
    return World(kinds, quality[kinds], logged, actions, rewards)


def trial_shares(n: int) -> Floats:
    """Return the share of a challenger on trial in each of n rounds, where no guard breaks: (n,)."""
    rounds, shares = np.arange(n), np.full(n, STEPS[-2])
    for place, share in enumerate(STEPS[:-2]):
        shares[(rounds >= place * STEP_ROUNDS) & (rounds < (place + 1) * STEP_ROUNDS)] = share
    return shares


def kinds_of(rng: np.random.Generator, n: int, share: float = 1 / 3) -> np.ndarray:
    """Return the kind of each query, (n,): such a share is of kind 1."""
    return (rng.random(n) < share).astype(np.intp)


def rounds_of(made: World, target: Floats, expected: Floats) -> list[PolicyContrast]:
    """Return the rounds' contrasts for a challenger that expects `expected` (n, K)."""
    free = [0.0] * ARMS
    rows = zip(target.tolist(), made.logged.tolist(), made.actions.tolist(), expected.tolist(), strict=True)
    return [contrast(pi, p, action, quality=quality, penalties=free) for pi, p, action, quality in rows]


def first_refuted(made: World, lines: list[PolicyContrast], alpha: float) -> float:
    """Return after how many rounds it was refuted that the difference is 0 or less, infinity if never.

    Every round is looked at.
    """
    n, spread = len(lines), FIRST_SPREAD
    levels, sums = np.zeros(n, dtype=np.intp), np.zeros((n, len(log_factors(0.0, 0))))
    for row, (line, reward) in enumerate(zip(lines, made.rewards.tolist(), strict=True)):
        levels[row] = stake_level(spread)
        sums[row] = log_factors(line.lower + line.slope * reward, levels[row])
        spread = next_spread(spread, line.spread)
    refuted = log_capital(sums.cumsum(axis=0), np.eye(LEVELS)[levels].cumsum(axis=0), 0.0) >= -math.log(alpha)
    return float(refuted.argmax() + 1) if refuted.any() else math.inf


def null_tournament(seed: int, n: int) -> bool:
    """Return whether any of three challengers that are worth exactly what the champion is was ever promoted.

    One takes arms at random where all are alike; one is better with the one kind and as much worse with the other; one
    is halfway there. The first in every second tournament, and the third in the others, is on trial.
    """
    rng = np.random.default_rng(seed)
    alike = np.tile(rng.uniform(0.3, 0.8, 2)[:, None], (1, ARMS))
    mirrored = np.array([[0.6, 0.65, 0.5, 0.5], [0.7, 0.6, 0.5, 0.5]])  # arm 1: 5 points more, or 10 less on a third
    explores = float(rng.choice([0.02, 0.1, 0.3]))
    champion, kinds = leaning(np.zeros(n, dtype=np.intp), explores), kinds_of(rng, n)
    other = leaning(np.ones(n, dtype=np.intp), explores)
    false = False
    for number, target in enumerate((leaning(rng.integers(0, ARMS, n), 0.0), other, 0.5 * (other + champion))):
        on_trial = target if number == 2 * (seed % 2) else None
        made = world(rng, quality=mirrored if number else alike, champion=champion, kinds=kinds, on_trial=on_trial)
        expected = np.clip(made.quality + rng.normal(0, 0.1, ARMS), 0, 1)
        false |= first_refuted(made, rounds_of(made, target, expected), ALPHA / CHALLENGERS) < math.inf
    return false


def promoted_after(seed: int, n: int, *, explores: float, gain: float, trial: bool, differs: float) -> float:
    """Return after how many rounds a challenger with a true gain is promoted, one of three that differs in a share."""
    rng = np.random.default_rng(seed)
    better = gain / differs / (1.0 - explores)  # on the rounds where it takes another arm
    quality = np.array([[0.7, 0.6, 0.6, 0.6], [0.5, 0.5 + better, 0.5, 0.5]])
    kinds, champion = kinds_of(rng, n, differs), leaning(np.zeros(n, dtype=np.intp), explores)
    target = leaning(np.where(kinds == 1, 1, 0), explores)
    made = world(rng, quality=quality, champion=champion, kinds=kinds, on_trial=target if trial else None)
    expected = np.clip(made.quality + rng.normal(0, 0.1, ARMS), 0, 1)
    after = first_refuted(made, rounds_of(made, target, expected), ALPHA / CHALLENGERS)
    return max(after, float(STEP_ROUNDS * (len(STEPS) - 1))) if trial else after


def told_after(seed: int, n: int, *, explores: float, loss: float) -> float:
    """Return after how many rounds a champion is told that its exploration costs `loss` against the best constant arm.

    It favours the best arm, and spreads a share over all of them; which arm is best is learned on the way.
    """
    rng = np.random.default_rng(seed)
    quality = np.full((2, ARMS), 0.7 - loss * ARMS / (ARMS - 1) / explores)
    quality[:, 2] = 0.7
    made = world(rng, quality=quality, champion=leaning(np.full(n, 2), explores), kinds=kinds_of(rng, n))
    weights, sums = np.zeros((n + 1, ARMS)), np.zeros((n + 1, ARMS))
    rows, shares = np.arange(1, n + 1), 1.0 / made.logged[np.arange(n), made.actions]
    weights[rows, made.actions], sums[rows, made.actions] = shares, shares * made.rewards
    weights, sums = weights.cumsum(axis=0), sums.cumsum(axis=0)
    leaders = np.where(weights > 0, sums / np.maximum(weights, 1e-9), 0.5).argmax(axis=1)[:-1]
    return first_refuted(made, rounds_of(made, leaning(leaders, 0.0), np.full((n, ARMS), 0.6)), ALPHA)


def entries_of(n: int, rng: np.random.Generator) -> list[LogEntry]:
    """Return n decisions as a router with the shipped encoder writes them, each with its outcome and a thumb."""
    entries: list[LogEntry] = []
    for number in range(n):
        made = decision(number, rng)
        said = Feedback(f"f{number}", made.id, made.at, "user", "thumbs", float(rng.integers(2)))
        ids = [f"{3 * number + place}-0" for place in (1, 2, 3)]
        record = Record(made, ids[0], outcome(made), ids[1])
        entries.append(LogEntry(ids[0], made))
        entries.append(LogEntry(ids[1], outcome(made), record))
        entries.append(LogEntry(ids[2], said, replace(record, feedback={ids[2]: said})))
    return entries


def cost_us(policy: str, entries: list[LogEntry], rounds: int) -> tuple[float, float]:
    """Return microseconds of CPU an event that scoring a challenger takes, and that learning alone does; medians.

    Of the second half of the entries: at a log's start, a prior is drawn anew after every few rounds.
    """
    first, then = entries[: len(entries) // 2], entries[len(entries) // 2 :]
    fingerprint = entries[0].event.context.fingerprint  # type: ignore[union-attr]

    def make() -> Policy:
        return load_policy(policy, d=D, fingerprint=fingerprint)

    alone, beside = [], []
    for _ in range(rounds):
        scoring = Scoring(PolicyContender(ExplorationRules(0.02)))
        plain = Learner(make(), DEFAULT_SPEC, fingerprint=fingerprint, arms=NAMES)
        scored = ScoredLearner(make(), DEFAULT_SPEC, fingerprint=fingerprint, arms=NAMES, scoring=scoring)
        for learner, seconds in ((plain, alone), (scored, beside)):
            learner.step(first)
            began = time.process_time()
            learner.step(then)
            seconds.append(time.process_time() - began)
    learns, both = (1e6 * float(np.median(seconds)) / len(then) for seconds in (alone, beside))
    return both - learns, learns


def share_within(times: list[float], n: int) -> str:
    """Return in words how many came within n rounds, and when the middle one did."""
    return f"{np.mean(np.array(times) <= n):6.1%} within {n:,}, median {np.median(times):,.0f}"


def main() -> None:
    """Parse the arguments, and print each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tournaments", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=12_000)
    arguments = parser.parse_args()
    entries = entries_of(arguments.events // 3, np.random.default_rng(0))
    for policy in ("HierTS", "LinTS", "Fixed"):
        scores, learns = cost_us(policy, entries, 3)
        print(f"{policy}: scoring takes {scores:.0f} us an event (at most 60), learning {learns:.0f} us")
    many, n = arguments.tournaments, arguments.rounds
    print(
        f"{os.cpu_count()} cores; {many} tournaments of {CHALLENGERS} challengers, {n:,} rounds, all of them looked at"
    )
    false = np.mean([null_tournament(seed, n) for seed in range(many)])
    print(f"no true difference: promoted in {false:.1%} of them (at most {ALPHA:.0%})")
    fewer = max(many // 5, 20)
    settings = [(True, 0.02, 1 / 3), (True, 0.02, 1 / 5), (True, 0.02, 1 / 10), (True, 0.1, 1 / 5)]
    for trial, explores, differs in (*settings, (False, 0.1, 1 / 5), (False, 0.3, 1 / 5), (False, 0.5, 1 / 5)):
        times = [
            promoted_after(seed, n, explores=explores, gain=0.03, trial=trial, differs=differs) for seed in range(fewer)
        ]
        where = f"in {differs:.0%} of the queries, {'on trial' if trial else 'no traffic'}, explores {explores:.0%}"
        print(f"3 points of true gain, {where}: promoted {share_within(times, n)}")
    for explores, loss in ((0.2, 0.03), (0.4, 0.03), (0.4, 0.05), (0.8, 0.05)):
        times = [told_after(seed, n // 2, explores=explores, loss=loss) for seed in range(fewer)]
        print(f"{loss:.0%} behind the best constant arm, explores {explores:.0%}: told {share_within(times, n // 2)}")


if __name__ == "__main__":
    main()
