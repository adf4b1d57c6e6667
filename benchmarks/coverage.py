"""How often 95% intervals hold the truth, for every estimator and interval, on three kinds of log.

    python benchmarks/coverage.py [--runs 1000] [--rounds 2000] [--looks 20] [--seed 0]
    python benchmarks/coverage.py --small [--runs 500] [--interval ClusteredBootstrap]
    python benchmarks/coverage.py --thumbs

Sixteen kinds of prompt, four arms, rewards 0 or 1; the target policy prefers the arm that is best for each kind, as far
as it can tell. The log is drawn by a fixed policy (iid); by the same one, from people who each ask five times about one
thing and are in one mood (sessions); or by a policy that follows the best arm so far for each kind (adaptive). Floor
0.2, so no ratio exceeds 20. A row gives bias and root mean squared error of the estimate, then for each interval how
often it held the truth, and its mean width. The confidence sequence must hold it at every one of `looks` looks; its
width is that at the end. A dash: the interval has nothing to say of this estimator.

With --small the target always takes the better of two arms, on logs worth few rounds of its own: what is reported, as
`evaluate` and `compare` do, with pseudo-rounds. With --thumbs the same on logs whose bad answers are rated more often.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Indices, LoggedData
from highwayman.sims.ope.estimate import Estimator, Interval, RoundValues
from highwayman.sims.ope.estimators.clipped_ips import ClippedIPS
from highwayman.sims.ope.estimators.direct_method import DirectMethod
from highwayman.sims.ope.estimators.doubly_robust import DoublyRobust
from highwayman.sims.ope.estimators.dr_os import DROS
from highwayman.sims.ope.estimators.ips import IPS
from highwayman.sims.ope.estimators.snips import SNIPS
from highwayman.sims.ope.estimators.switch_dr import SwitchDR
from highwayman.sims.ope.evaluation import compare, evaluate
from highwayman.sims.ope.intervals.bootstrap import ClusteredBootstrap
from highwayman.sims.ope.intervals.confidence_sequence import ConfidenceSequence
from highwayman.sims.ope.intervals.empirical_bernstein import EmpiricalBernstein
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.ope.intervals.session_sums import SessionSums

KINDS, ARMS, FLOOR, MAX_RATIO, PER_SESSION, MOOD = 16, 4, 0.2, 20.0, 5, 0.2

ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "IPS": lambda: IPS(max_ratio=MAX_RATIO),
    "ClippedIPS cap 10": lambda: ClippedIPS(cap=10.0),
    "SNIPS": SNIPS,
    "DirectMethod": DirectMethod,
    "DoublyRobust": lambda: DoublyRobust(max_ratio=MAX_RATIO),
    "SwitchDR tau 10": lambda: SwitchDR(tau=10.0),
    "DROS lam 400": lambda: DROS(lam=400.0),
}
INTERVALS: dict[str, Callable[[], Interval]] = {
    "Normal": Normal,
    "ClusteredBootstrap": ClusteredBootstrap,
    "EmpiricalBernstein": EmpiricalBernstein,
    "ConfidenceSequence": ConfidenceSequence,
}


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What is true: kinds of prompt with features, the quality of every arm on them, and a target policy."""

    features: Floats  # (KINDS, d)
    quality: Floats  # (KINDS, ARMS) probability that the answer is good
    target: Floats  # (KINDS, ARMS)
    logging: Floats  # (KINDS, ARMS), of the fixed policy

    @property
    def value(self) -> float:
        """The target's value: every kind is asked alike."""
        return float((self.target * self.quality).sum(axis=1).mean())


def make_world(rng: np.random.Generator) -> World:
    """Return a world whose qualities are no linear function of the features, and leave room for a mood."""
    features = np.concatenate([rng.standard_normal((KINDS, 4)), np.ones((KINDS, 1))], axis=1)
    logits = features @ rng.normal(0.0, 0.6, (5, ARMS)) + rng.normal(0.0, 0.7, (KINDS, ARMS))
    quality = MOOD + (1 - 2 * MOOD) / (1 + np.exp(-logits))
    return World(features, quality, _policy(quality, rng, 8.0), _policy(quality, rng, 4.0))


def _policy(quality: Floats, rng: np.random.Generator, sharpness: float) -> Floats:
    wish = np.exp(sharpness * (quality + rng.normal(0.0, 0.15, quality.shape)))
    probs: Floats = FLOOR / ARMS + (1 - FLOOR) * wish / wish.sum(axis=1, keepdims=True)
    return probs


def logs(
    world: World, kind: str, *, runs: int, rounds: int, rng: np.random.Generator
) -> Iterator[tuple[LoggedData, Floats]]:
    """Yield `runs` logs of the kind, with the target's probabilities (rounds, ARMS) on each."""
    prompts = rng.integers(0, KINDS, (runs, rounds))
    mood = np.zeros((runs, rounds))
    sessions = np.broadcast_to(np.arange(rounds), (runs, rounds))
    if kind == "sessions":
        sessions = sessions // PER_SESSION
        prompts = np.repeat(prompts[:, ::PER_SESSION], PER_SESSION, axis=1)[:, :rounds]
        moods = MOOD * rng.choice([-1.0, 1.0], (runs, rounds))
        mood = np.repeat(moods[:, ::PER_SESSION], PER_SESSION, axis=1)[:, :rounds]
    actions, propensities, rewards = _drawn(world, prompts, mood, rng, adaptive=kind == "adaptive")
    for run in range(runs):
        log = LoggedData(
            arms=tuple("abcd"),
            contexts=world.features[prompts[run]],
            eligible=np.ones((rounds, ARMS), dtype=np.bool_),
            actions=actions[run],
            propensities=propensities[run],
            rewards=rewards[run],
            costs_usd=np.zeros(rounds),
            penalties=np.zeros((rounds, ARMS)),
            sessions=sessions[run],
            at=np.arange(rounds, dtype=np.float64),
        )
        yield log, world.target[prompts[run]]


def _drawn(
    world: World, prompts: Indices, mood: Floats, rng: np.random.Generator, *, adaptive: bool
) -> tuple[Indices, Floats, Floats]:
    """Return actions, propensities and rewards, three arrays (runs, rounds); all runs take a round together."""
    runs, rounds = prompts.shape
    every = np.arange(runs)
    sums, counts = np.full((runs, KINDS, ARMS), 0.5), np.ones((runs, KINDS, ARMS))
    actions, propensities, rewards = (
        np.empty((runs, rounds), np.intp),
        np.empty((runs, rounds)),
        np.empty((runs, rounds)),
    )
    for t in range(rounds):
        x = prompts[:, t]
        probs = world.logging[x]
        if adaptive:
            best = (sums[every, x] / counts[every, x]).argmax(axis=1)
            probs = np.full((runs, ARMS), FLOOR / ARMS)
            probs[every, best] += 1 - FLOOR
        a = (rng.random((runs, 1)) > probs.cumsum(axis=1)[:, :-1]).sum(axis=1)
        r = rng.random(runs) < world.quality[x, a] + mood[:, t]
        sums[every, x, a] += r
        counts[every, x, a] += 1
        actions[:, t], propensities[:, t], rewards[:, t] = a, probs[every, a], r
    return actions, propensities, rewards


def held(make: Callable[[], Interval], rounds: RoundValues, truth: float, looks: int) -> tuple[float, float]:
    """Return whether an interval held the truth (NaN: it has nothing to say), and its width at the end.

    A confidence sequence is looked at `looks` times, and must hold it every time.
    """
    interval = make()
    n = len(rounds.numerator)
    steps = looks if isinstance(interval, ConfidenceSequence) else 1
    for start, end in zip(range(0, n, n // steps), range(n // steps, n + 1, n // steps), strict=False):
        interval.add(part(rounds, slice(start, end)))
        low, high = interval.interval()
        if not low <= truth <= high:
            return (np.nan if np.isnan(low) else 0.0), high - low
    return 1.0, high - low


def part(rounds: RoundValues, rows: slice) -> RoundValues:
    """Return some of the rounds."""
    arrays = (rounds.numerator[rows], rounds.denominator[rows], rounds.ratio[rows], rounds.sessions[rows])
    return RoundValues(*arrays, rounds.low, rounds.high, rounds.martingale)


def study(world: World, kind: str, arguments: argparse.Namespace) -> dict[str, Floats]:
    """Return for each estimator its errors, and whether and how wide each interval held, shape (runs, 1 + 2 * 4)."""
    rng = np.random.default_rng([arguments.seed, 1])
    found: dict[str, list[list[float]]] = {name: [] for name in ESTIMATORS}
    for log, target in logs(world, kind, runs=arguments.runs, rounds=arguments.rounds, rng=rng):
        for name, make in ESTIMATORS.items():
            estimator = make()
            estimator.fit(log)
            rounds = estimator.rounds(log, target)
            sums = SessionSums()
            sums.add(rounds)
            each = [held(interval, rounds, world.value, arguments.looks) for interval in INTERVALS.values()]
            found[name].append([sums.value() - world.value, *(one for pair in each for one in pair)])
    return {name: np.array(rows) for name, rows in found.items()}


def small_log(rounds: int, quality: float, rng: np.random.Generator) -> LoggedData:
    """Return a log drawn evenly of two arms: the one as good as said, the other right half of the time."""
    actions = rng.integers(0, 2, rounds)
    good = rng.random(rounds) < np.where(actions == 0, quality, 0.5)
    return rewarded(actions, good.astype(np.float64))


def rewarded(actions: Indices, rewards: Floats) -> LoggedData:
    """Return a log drawn evenly of two arms, with rewards (n,)."""
    rounds = len(actions)
    return LoggedData(
        arms=("a", "b"),
        contexts=np.ones((rounds, 1)),
        eligible=np.ones((rounds, 2), dtype=np.bool_),
        actions=actions,
        propensities=np.full(rounds, 0.5),
        rewards=rewards,
        costs_usd=np.zeros(rounds),
        penalties=np.zeros((rounds, 2)),
        sessions=np.arange(rounds),
        at=np.arange(rounds, dtype=np.float64),
    )


def small_study(arguments: argparse.Namespace) -> None:
    """Print how often what `evaluate` and `compare` report of the better arm alone holds the truth."""
    methods = {"SNIPS": SNIPS, "DoublyRobust": DoublyRobust}
    print(f"{arguments.runs} runs; held (width 0): value and gain over the log, SNIPS and DoublyRobust")
    print(
        f"{'effective rounds':17}{'quality':>8}"
        + "".join(f"{name + of:>21}" for name in methods for of in ("", " gain"))
    )
    for ess in (60, 120, 250):
        for quality in (0.8, 0.95, 0.99):
            rng, cells = np.random.default_rng(arguments.seed), []
            logs_drawn = [small_log(2 * ess, quality, rng) for _ in range(arguments.runs)]
            for make in methods.values():
                for ask, truth in ((evaluate, quality), (compare, (quality - 0.5) / 2)):
                    found = [
                        ask(partial(list, [log]), only_a, estimator=make(), interval=INTERVALS[arguments.interval]())
                        for log in logs_drawn
                    ]
                    held_truth = np.mean([one.low <= truth <= one.high for one in found])
                    flat = np.mean([one.high - one.low < 1e-3 for one in found])
                    cells.append(f"{f'{held_truth:.1%} ({flat:.1%})':>21}")
            print(f"{ess:<17}{quality:8}{''.join(cells)}", flush=True)


def thumbs_study(arguments: argparse.Namespace) -> None:
    """Print what `evaluate` makes of the better arm where bad answers get a thumb three times as often as good ones."""
    print("thumbs on 5% of good answers, 15% of bad ones; always arm a; 20,000 rounds drawn evenly")
    heads = {
        "true a and b": 14,
        "estimate of a": 15,
        "gain": 9,
        "truly": 9,
        "mean ratio": 12,
        "weighed": 10,
        "gain ": 9,
    }
    print("".join(f"{head.strip():>{width}}" for head, width in heads.items()), " refused")
    for a, b in ((0.9, 0.7), (0.8, 0.75), (0.8, 0.79), (0.8, 0.8)):
        rng = np.random.default_rng(arguments.seed)
        actions = rng.integers(0, 2, arguments.rounds * 10)
        good = rng.random(len(actions)) < np.where(actions == 0, a, b)
        rate = np.where(good, 0.05, 0.15)
        log = rewarded(actions, np.where(rng.random(len(actions)) < rate, good, np.nan))
        weighed = replace(log, weights=1 / rate)  # as a calibration that knows the rates weighs them
        found, gain = (ask(partial(list, [log]), only_a) for ask in (evaluate, compare))
        right, right_gain = (ask(partial(list, [weighed]), only_a) for ask in (evaluate, compare))
        ratio, refused = found.support.mean_ratio, any("mean importance ratio" in why for why in found.refused)
        print(f"{a:>9} {b:<4}{found.value:15.3f}{gain.value:+9.3f}{(a - b) / 2:+9.3f}{ratio:12.3f}"
              f"{right.value:10.3f}{right_gain.value:+9.3f}  {'yes' if refused else 'no'}")  # fmt: skip


def only_a(log: LoggedData) -> Floats:
    """Return the first arm for sure, (n, 2)."""
    return np.tile([1.0, 0.0], (log.n, 1))


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--looks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="logs worth few rounds to the target, as reported")
    parser.add_argument("--thumbs", action="store_true", help="what selective thumbs do to estimates")
    parser.add_argument("--interval", choices=list(INTERVALS), default="Normal", help="with --small")
    arguments = parser.parse_args()
    if arguments.thumbs:
        thumbs_study(arguments)
        return
    if arguments.small:
        small_study(arguments)
        return
    world = make_world(np.random.default_rng(arguments.seed))
    print(f"{arguments.runs} runs of {arguments.rounds} rounds, true value {world.value:.4f}, looks {arguments.looks}")
    print(f"{'':19}{'bias':>8}{'rmse':>8}" + "".join(f"{name:>21}" for name in INTERVALS))
    for kind in ("iid", "sessions", "adaptive"):
        started = time.perf_counter()
        for name, rows in study(world, kind, arguments).items():
            cells = []
            for covered, width in zip(rows[:, 1::2].T, rows[:, 2::2].T, strict=True):
                share = f"{covered.mean():.1%} {width.mean():.3f}"
                cells.append(f"{'-' if np.isnan(covered).any() else share:>21}")
            error = rows[:, 0]
            print(f"{name:19}{error.mean():8.4f}{np.sqrt((error**2).mean()):8.4f}{''.join(cells)}", flush=True)
        print(f"  above: {kind}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
