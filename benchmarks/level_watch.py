"""A new champion that turns bad: what it costs until it is rolled back, and what it must cost at least.

    python -m benchmarks.level_watch [--runs 200]

Answers are good or bad, seven in ten of them good, over 50,000 rounds after a promotion. Somewhere in the first half
the champion falls, at once or little by little. Told is the reward lost until the alarm, as a share of all that the
period would have brought. The least possible is that of a detector which knows the level and how the champion falls,
but not when: Shiryaev-Roberts of likelihood ratios, which no other beats by more than a vanishing amount (Pollak,
"Optimal Detection of a Change in Distribution", Annals of Statistics 1985), its threshold set so that one in twenty
periods without a fall has a false alarm.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from highwayman.env.types import Floats
from highwayman.feedback.tournament.level_watch import LevelWatch

PERIOD, LEVEL = 50_000, 0.7
FALLS = ((0.05, 1), (0.05, 10_000), (0.05, 25_000), (0.1, 1), (0.2, 1), (0.4, 1))  # by how much, within how many rounds
FALSE_ALARMS = 0.05  # of the periods
KNOWN = (2_000, 5_000, 10_000)  # rounds that stand behind the level
_Rounds = Iterator[tuple[Floats, Floats]]
_MOST = 1e100  # beyond which a ratio tells nothing more
_STEP = 250  # rounds between the beginnings that the best detector thinks of


def fallen(rounds: Floats, fall: float, within: int) -> Floats:
    """Return by how much a champion has fallen so many rounds after it began to."""
    share: Floats = np.clip((rounds + 1.0) / within, 0.0, 1.0)
    return fall * share


def watched(seed: int, *, known: int, fall: float, within: int) -> tuple[float, bool, bool]:
    """Return the share of the reward that is lost until the alarm, whether there was one, and whether it was false."""
    rng, watch = np.random.default_rng(seed), LevelWatch()
    for reward in rng.random(known) < LEVEL:
        watch.observe(float(reward))
    watch.freeze()
    begins = int(rng.integers(0, PERIOD // 2)) if fall else PERIOD
    lost = fallen(np.arange(PERIOD) - begins, fall, within)
    rewards = (rng.random(PERIOD) < LEVEL - lost).tolist()
    for number, reward in enumerate(rewards):
        watch.observe(float(reward))
        if watch.alarmed:
            return float(lost[:number].sum()) / (LEVEL * PERIOD), True, number < begins
    return float(lost.sum()) / (LEVEL * PERIOD), False, False


def best_statistics(begins: Floats, fall: float, within: int, rng: np.random.Generator) -> _Rounds:
    """Yield, round by round, the best detector's statistic and what was lost in that round, (runs,) each."""
    starts, runs = np.arange(0, PERIOD, _STEP), len(begins)
    ratios = np.ones((len(starts), runs))
    for number in range(PERIOD):
        lost = fallen(number - begins, fall, within)
        good = rng.random(runs) < LEVEL - lost
        known = number // _STEP + 1
        expected = LEVEL - fallen(number - starts[:known], fall, within)[:, None]
        ratios[:known] *= np.where(good, expected / LEVEL, (1.0 - expected) / (1.0 - LEVEL))
        np.minimum(ratios[:known], _MOST, out=ratios[:known])
        yield ratios[:known].sum(axis=0), lost


def least_possible(runs: int, *, fall: float, within: int) -> Floats:
    """Return the share of the reward that the best detector loses in each run without a false alarm."""
    never = np.full(runs, float(PERIOD))
    highest = np.zeros(runs)
    for statistic, _ in best_statistics(never, fall, within, np.random.default_rng(0)):
        np.maximum(highest, statistic, out=highest)
    threshold = np.quantile(highest, 1.0 - FALSE_ALARMS)
    rng = np.random.default_rng(1)
    begins = rng.integers(0, PERIOD // 2, runs).astype(np.float64)
    alarms, costs = np.full(runs, PERIOD), np.zeros(runs)
    for number, (statistic, lost) in enumerate(best_statistics(begins, fall, within, rng)):
        costs += np.where(alarms == PERIOD, lost, 0.0)
        alarms = np.where((alarms == PERIOD) & (statistic > threshold), number, alarms)
    shares: Floats = costs[alarms >= begins] / (LEVEL * PERIOD)
    return shares


def told(costs: Floats) -> str:
    """Return how costs are spread, in words."""
    middle, most = np.median(costs), np.quantile(costs, 0.95)
    return f"median {middle:.2%}, 95% below {most:.2%}, worst of {len(costs)} {costs.max():.2%}"


def main() -> None:
    """Parse the arguments, and print each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    for known in KNOWN:
        false = np.mean([watched(seed, known=known, fall=0.0, within=1)[1] for seed in range(runs)])
        print(f"level known from {known:,} rounds, no fall: an alarm in {false:.1%} of {runs} periods", flush=True)
    for fall, within in FALLS:
        print(f"falls by {fall:.0%} within {within:,} rounds")
        for known in KNOWN:
            results = [watched(seed, known=known, fall=fall, within=within) for seed in range(runs)]
            costs = np.array([cost for cost, _, false in results if not false])
            print(f"    level known from {known:,} rounds: {told(costs)}", flush=True)
        if within > 1 or fall <= 0.1:
            print(f"    least possible: {told(least_possible(runs, fall=fall, within=within))}", flush=True)


if __name__ == "__main__":
    main()
