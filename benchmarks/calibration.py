"""Whether thumbs and a judge together rank the arms rightly where a plain average does not, in worlds of known truth.

    python -m benchmarks.calibration [--runs 200] [--arms 4] [--answers 8000] [--gap 0.08] [--louder 3]

Each world: arms whose answers are good with probabilities `gap` apart, around 0.62. A judge scores every answer:
0.3, and 0.4 more for a good one, plus noise of deviation 0.2 and a bias of the arm's own; biases lie up to 0.15 apart
and run against the qualities. Of the answers 5% get a thumb, bad ones three times as often as good ones, and a tenth
of the thumbs is flipped; nothing of this is told but the tenth. With `--louder` the users of the second best arm give
so many times as many thumbs as those of the others.

Printed: in how many worlds all arms are ranked rightly, and in how many the best one comes first; how often 95%
intervals cover an arm's true mean, and how wide they are. `thumbs` is the same inference without the scores, `judge`
the mean score with its own standard error, `naive` the plain average of all scores and thumbs.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.ppi import QualityEstimates, naive_mean, ppi_estimates
from highwayman.feedback.calibration.response_rates import estimate_response_rates

FLIP, THUMBS, BAD_OVER_GOOD, BIAS = 0.1, 0.05, 3.0, 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A world's data and its truth."""

    cells: CountTable
    quality: Floats  # (K,) the true means
    good: float  # the true rates of giving
    bad: float


def world(
    rng: np.random.Generator, *, arms: int, answers: int, gap: float, judged: float = 1.0, louder: float = 1.0
) -> Drawn:
    """Draw a world in which the second best arm's users give `louder` times as many thumbs."""
    quality = 0.62 + gap * (np.arange(arms) - (arms - 1) / 2)
    bias = BIAS * (0.5 - np.arange(arms) / (arms - 1))  # against the qualities
    mean = float(quality.mean())
    good = THUMBS / (mean + BAD_OVER_GOOD * (1 - mean))
    bad = BAD_OVER_GOOD * good
    rows: list[tuple[int, float, bool | None]] = []
    for arm in range(arms):
        is_good = rng.random(answers) < quality[arm]
        score = np.clip(0.3 + 0.4 * is_good + bias[arm] + rng.normal(0, 0.2, answers), 0, 1)
        given = rng.random(answers) < np.where(is_good, good, bad) * (louder if arm == arms - 2 else 1.0)
        thumb = is_good ^ (rng.random(answers) < FLIP)
        seen = rng.random(answers) < judged
        rows += [
            (arm, float(s), bool(t) if g else None) for s, g, t, j in zip(score, given, thumb, seen, strict=True) if j
        ]
    return Drawn(CountTable.from_answers([f"arm{k}" for k in range(arms)], rows), quality, good, bad)


def judged(cells: CountTable) -> QualityEstimates:
    """Return the mean score of each arm, as if the judge were right."""
    answers = cells.scored.sum(axis=1)
    value = cells.score.sum(axis=1) / answers
    variance = (cells.scored * ((np.arange(cells.scored.shape[1]) + 0.5) / 10 - value[:, None]) ** 2).sum(axis=1)
    stderr = np.sqrt(variance) / answers
    return QualityEstimates(value, stderr, np.diag(stderr**2))


def ranked(found: Floats) -> bool:
    """Return whether the values rise, as the true ones do."""
    return bool((np.diff(found) > 0).all())


def best_first(found: Floats) -> bool:
    """Return whether the last value, truly the largest, is so."""
    return int(found.argmax()) == len(found) - 1


def main() -> None:
    """Draw the worlds and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--arms", type=int, default=4)
    parser.add_argument("--answers", type=int, default=8000, help="of each arm, half of which are judged")
    parser.add_argument("--gap", type=float, default=0.08)
    parser.add_argument("--louder", type=float, default=1.0)
    options = parser.parse_args()
    names = ("calibrated", "thumbs", "judge", "naive")
    right, first = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    covered: dict[str, list[float]] = {name: [] for name in names}
    width: dict[str, list[float]] = {name: [] for name in names}
    ratio, rate, identified = [], [], 0
    for seed in range(options.runs):
        drawn = world(
            np.random.default_rng(seed),
            arms=options.arms,
            answers=options.answers,
            gap=options.gap,
            louder=options.louder,
        )
        rates = estimate_response_rates(drawn.cells, flip=FLIP)
        identified += rates.identified
        ratio.append(rates.bad / rates.good)
        rate.append(rates.good / drawn.good)
        right["naive"] += ranked(naive_mean(drawn.cells))
        first["naive"] += best_first(naive_mean(drawn.cells))
        plain = drawn.cells.without_scores()
        for name, found in (
            ("calibrated", ppi_estimates(drawn.cells, rates)),
            ("thumbs", ppi_estimates(plain, estimate_response_rates(plain, flip=FLIP))),
            ("judge", judged(drawn.cells)),
        ):
            right[name] += ranked(found.value)
            first[name] += best_first(found.value)
            covered[name].append(float(((found.low <= drawn.quality) & (drawn.quality <= found.high)).mean()))
            width[name].append(float((found.high - found.low).mean()))
    print(f"{options.runs} worlds of {options.arms} arms {options.gap:g} apart, {options.answers} answers each, "
          f"the second best {options.louder:g} times as loud")  # fmt: skip
    for name, count in right.items():
        print(f"{name:>11}: ranked rightly in {count / options.runs:6.1%}, ", end="")
        print(f"best first in {first[name] / options.runs:6.1%}", end="")
        if width[name]:
            print(f"   intervals cover {np.mean(covered[name]):.3f}, width {np.mean(width[name]):.3f}", end="")
        print()
    print(f"rates of giving told in {identified} worlds: bad over good {np.median(ratio):.2f}, "
          f"truly {BAD_OVER_GOOD:g}; good over the truth {np.median(rate):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
