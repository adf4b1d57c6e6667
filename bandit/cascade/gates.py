"""What is learned of answers that were looked at: whether such a one is good, and what another arm would make of it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from highwayman.bandit.cascade.calibration import IsotonicCalibration
from highwayman.bandit.cascade.columns import answer_vectors, bernoulli_spread, next_vector, remainder_sums
from highwayman.bandit.cascade.gate_clock import GateClock
from highwayman.bandit.cascade.ignorance import Judgement, fewness, share_and_deviation
from highwayman.bandit.cascade.shared_regression import SharedRegression
from highwayman.bandit.policy import HalfLife
from highwayman.env.types import Floats

# Written beside a stage's signals on the log, so that what it teaches is a function of the log alone.
EXPECTED = "expected"  # quality of the answer, before it was looked at
ESTIMATE = "estimate"  # probability that it is good, before calibration
NEXT_EXPECTED = "next_expected"  # quality of the next arm's answer, as the policy expects it of the query
_OWN_NAMES = frozenset({EXPECTED, ESTIMATE, NEXT_EXPECTED})

_MOST_SIGNALS = 24  # that are learned from, the first ones met
# Precisions: the level is what the policy has learned, and moves slowly; what a signal tells is to be found out.
_LEVEL = (20.0, 20.0)  # the constant, what is expected
_SIGNAL = (20.0, 1.0, 2.0, 2.0)  # whether it is told, its size, how far it is beyond each hinge
_NEXT = (20.0, 20.0, 10.0, 2.0, 5.0)  # the constant, what is expected of it, and of the other, how good that is; x own
_KEPT = 128  # answers of each arm, the latest, that tell how far looking moves what is expected
_QUANTILES = 32
_STALE = 8  # more looks at an arm's answers, after which quantiles are taken anew
_LINE_PRECISION = 0.1


class Gates:
    """Two posteriors: of the answer that lies there, and of another arm's to the same query.

    Before anything is learned an answer is as good as the policy expects of its arm, and so is the next arm's: signals
    tell nothing. What is learned are remainders to that. Sums over answers are kept, and can be taken away again;
    beside them the signals of each arm's latest answers, which tell what looking at the next one may bring.
    """

    def __init__(self) -> None:
        """Start at the prior."""
        self._columns: dict[str, int] = {}  # by signal, where its block begins
        self._quality = SharedRegression(_LEVEL)  # then signals, as they are met
        self._next_quality = SharedRegression(_NEXT)
        self._calibration = IsotonicCalibration()
        self._seen: dict[str, list[list[float]]] = {}  # of each look what was expected, and signals by column, or NaN
        self._looks: dict[str, int] = {}  # how many there have been
        self._quantiles: dict[str, tuple[int, int, Floats, Floats]] = {}  # as `_surprises`, and what it was taken from
        self._clock = GateClock()

    def judge(self, arm: str, expected: float, signals: Mapping[str, float]) -> Judgement:
        """Return what is believed of an arm's answer with such signals, of which a quality in [0, 1] was expected."""
        x = self._vector(expected, signals)
        linear = expected + float(self._quality.coefficients([arm])[0] @ x)
        estimate = min(max(linear, 0.0), 1.0)
        good = float(self._calibration(np.array(estimate)))
        # By its own answers: another arm's that are always good make no belief of this one's surer.
        variance = np.maximum(self._quality.spreads(x[None], [arm]) ** 2, fewness(self.labels([arm])))
        return Judgement(estimate, good, float(share_and_deviation(np.array([good]), variance)[1][0]))

    @property
    def has_signals(self) -> bool:
        """Whether any answer has told a signal."""
        return bool(self._columns)

    def labels(self, arms: Sequence[str]) -> Floats:
        """Return the weight of feedback on each arm's answers that were looked at, (K,)."""
        return np.array([self._quality.weight_of(arm) for arm in arms])

    def next_quality(
        self, arms: Sequence[str], expected: Floats, *, before: float, good: float
    ) -> tuple[Floats, Floats]:
        """Return the quality in [0, 1] of arms' answers once another was looked at, and its deviations: (K,) each.

        Args:
            arms: that may be asked next.
            expected: of their answers by the policy, (K,).
            before: quality that had been expected of the answer that lies there.
            good: probability that it is good, now that it was looked at.
        """
        x = next_vector(expected, before, np.array(good))
        coefficients = self._next_quality.coefficients(arms)
        quality: Floats = np.clip(expected + (coefficients * x).sum(axis=-1), 0.0, 1.0)
        return quality, self._next_quality.deviations(x, arms)

    def going_on(self, arms: Sequence[str], expected: Floats, good: Floats) -> Floats:
        """Return the quality of every arm's answer after any other's, (K, m, K), for m values of `good` (K, m).

        Of the first axis is the arm whose answer lies there.
        """
        x = next_vector(expected[None, None, :], expected[:, None, None], good[:, :, None])
        coefficients = self._next_quality.coefficients(arms)
        quality: Floats = np.clip(expected + np.einsum("kmbp,bp->kmb", x, coefficients), 0.0, 1.0)
        return quality

    def looks(self, arms: Sequence[str], expected: Floats) -> Floats:
        """Return what looking at each arm's answer may make of the quality expected of it, (K, m), m equally likely.

        Of an arm few of whose answers were looked at, others' tell.
        """
        levels, quantiles = zip(*(self._surprises(arm) for arm in arms), strict=True)
        level, slope = np.array(levels).T
        middle = np.clip(expected, 0.0, 1.0)
        level = middle + level + slope * (middle - 0.5)
        looks = level[:, None] + np.array(quantiles) * bernoulli_spread(middle)[:, None]
        return self._calibration(np.clip(looks, 0.0, 1.0))

    def on_look(self, arm: str, signals: Mapping[str, float]) -> None:
        """Count an answer that was looked at, whether or not anybody ever says what it was worth.

        Takes its signals as they stand on the log.
        """
        expected = signals.get(EXPECTED)
        if expected is None:
            return
        self._make_columns(signals)
        seen = self._seen.setdefault(arm, [])
        seen.append([float(f"{value:.4g}") for value in self._row(expected, signals)])
        self._looks[arm] = self._looks.get(arm, 0) + 1
        del seen[:-_KEPT]

    def learn(
        self,
        arm: str,
        signals: Mapping[str, float],
        *,
        weight: float,
        weighted: float,
        squared: float,
        share: float = 1.0,
    ) -> None:
        """Learn from feedback on an answer with signals as they stand on the log.

        Takes what changes of the sums of w, w*r and w*r**2, r its quality: negative numbers take away. Of the arm
        alone it counts for a share.
        """
        expected = signals.get(EXPECTED)
        if expected is None:
            return
        self._make_columns(signals)
        x = self._vector(expected, signals)
        self._quality.learn(arm, x, **remainder_sums(expected, share * weight, share * weighted, share * squared))
        estimate = min(max(signals.get(ESTIMATE, expected), 0.0), 1.0)
        self._calibration.learn(estimate, weight=weight, weighted=weighted)

    def learn_next(
        self,
        arm: str,
        signals: Mapping[str, float],
        good: float,
        *,
        weight: float,
        weighted: float,
        squared: float,
    ) -> None:
        """Learn from feedback on an answer of `arm`, which was asked after one with such signals on the log.

        Takes changes of sums as `learn` does.
        """
        before, expected = signals.get(EXPECTED), signals.get(NEXT_EXPECTED)
        if before is None or expected is None:
            return
        x = next_vector(np.array(expected), before, np.array(good))
        self._next_quality.learn(arm, x, **remainder_sums(expected, weight, weighted, squared))

    def weigh(self, arm: str, at: float, *, new: bool, half_life: HalfLife | None) -> tuple[float, float]:
        """Return how much feedback on an answer of `arm` counts by now, and how much of that for this arm alone.

        The first fades at the half-life, of the policy that the gates judge with; the second is less than 1 for answers
        of before the arm changed. What fades is made to fade first, where that is due.

        Args:
            arm: whose answer was served.
            at: seconds since the epoch, when the decision was made; 0: now.
            new: whether the answer had no feedback before.
            half_life: in rounds of feedback or in hours; None: nothing fades.
        """
        self._clock.set_half_life(half_life)
        if self._clock.due():
            factor = self._clock.rebase()
            for sums in (self._quality, self._next_quality, self._calibration):
                sums.scale(factor)
        return self._clock.weigh(arm, at, new=new)

    def discount(self, arm: str, share: float) -> None:
        """Let the feedback on an arm's answers so far count for a share in (0, 1]: it has changed.

        The isotonic map stays: it is of all arms together, and what estimates are worth.
        """
        self._clock.discount(arm, share)
        self._quality.scale(share, arm)
        self._next_quality.scale(share, arm)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain numbers; empty before the first answer was looked at."""
        if not self._seen and not self._columns and not self._next_quality.weight():
            return {}
        return {
            "signals": list(self._columns),
            "quality": self._quality.to_json(),
            "next_quality": self._next_quality.to_json(),
            "calibration": self._calibration.to_json(),
            "seen": {
                arm: [[None if math.isnan(value) else value for value in row] for row in rows]
                for arm, rows in self._seen.items()
            },
            **self._clock.to_json(),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote. Raises LookupError, TypeError or ValueError if it is damaged."""
        gates = cls()
        if not state:
            return gates
        gates._columns = {str(name): len(_LEVEL) + place * len(_SIGNAL) for place, name in enumerate(state["signals"])}
        gates._quality = SharedRegression.from_json(
            state["quality"], precisions=_LEVEL + len(state["signals"]) * _SIGNAL
        )
        gates._next_quality = SharedRegression.from_json(state["next_quality"], precisions=_NEXT)
        gates._calibration = IsotonicCalibration.from_json(state["calibration"])
        gates._clock = GateClock.from_json(state)
        gates._seen = {
            str(arm): [[math.nan if value is None else float(value) for value in row] for row in rows][-_KEPT:]
            for arm, rows in state["seen"].items()
        }
        widths = range(1, 2 + len(gates._columns))  # signals met later stand in no earlier row
        if not all(len(row) in widths and math.isfinite(row[0]) for rows in gates._seen.values() for row in rows):
            raise ValueError("a look has too many signals, or not what was expected")
        if any(math.isinf(value) for rows in gates._seen.values() for row in rows for value in row):
            raise ValueError("a signal is not finite")
        return gates

    def distance(self, other: Self) -> float:
        """Return the largest absolute difference between the sums of two, in whatever order they met signals.

        The latest looks are left out: an answer that is taken back stays among them until newer ones take its place.
        """
        names = sorted(self._columns.keys() | other._columns.keys())
        return max(
            self._quality.distance(other._quality, self._places(names), other._places(names)),
            self._next_quality.distance(other._next_quality),
            self._calibration.distance(other._calibration),
        )

    def _places(self, names: Sequence[str]) -> list[int]:
        """Return the columns of the level and of signals by name, -1 for one that was never met."""
        places = list(range(len(_LEVEL)))
        for name in names:
            start = self._columns.get(name)
            places.extend([-1] * len(_SIGNAL) if start is None else range(start, start + len(_SIGNAL)))
        return places

    def _surprises(self, arm: str) -> tuple[Floats, Floats]:
        """Return what looking at an arm's answers makes of what is expected, by the gate as it is, before calibration.

        First the line (2,) of what it makes of it on average, at an expected quality less one half; then m quantiles of
        what lies around that, (m,), in deviations of what is 1 with the probability expected: only that is told by
        signals. Of an arm of which few were looked at, other arms' answers stand for its own; 0 where nobody's were.
        """
        coefficients = self._quality.coefficients([arm])[0]
        known, looks = self._quantiles.get(arm), self._looks.get(arm, 0)
        if known is not None and known[0] == self._quality.settled and looks < known[1] + _STALE:
            return known[2:]
        rows = self._seen.get(arm, [])
        if len(rows) < _QUANTILES:
            rows = [row for own in self._seen.values() for row in own]
        line, quantiles = np.zeros(2), np.zeros(_QUANTILES)
        if rows:
            x = self._vectors(rows)
            moved, level = x @ coefficients, x[:, :2]
            line = np.linalg.solve(level.T @ level + _LINE_PRECISION * np.eye(2), level.T @ moved)
            places = ((np.arange(_QUANTILES) + 0.5) / _QUANTILES * len(rows)).astype(np.intp)
            quantiles = np.sort((moved - level @ line) / bernoulli_spread(level[:, 1] + 0.5))[places]
        self._quantiles[arm] = self._quality.settled, looks, line, quantiles
        return line, quantiles

    def _make_columns(self, signals: Mapping[str, float]) -> None:
        """Give every signal that is met for the first time its columns."""
        known = len(self._columns)
        for name in sorted(signals.keys() - self._columns.keys() - _OWN_NAMES)[: _MOST_SIGNALS - known]:
            self._columns[name] = len(_LEVEL) + len(self._columns) * len(_SIGNAL)
        if len(self._columns) > known:
            self._quality.widen((len(self._columns) - known) * _SIGNAL)

    def _row(self, expected: float, signals: Mapping[str, float]) -> list[float]:
        """Return what was expected, and the signals in the order they were met, NaN for one that is missing."""
        return [expected, *(signals.get(name, math.nan) for name in self._columns)]

    def _vector(self, expected: float, signals: Mapping[str, float]) -> Floats:
        """Return the vector (p,) that an answer is judged by."""
        vector: Floats = self._vectors([self._row(expected, signals)])[0]
        return vector

    def _vectors(self, rows: Sequence[Sequence[float]]) -> Floats:
        """Return a vector for each row, (n, p): a signal that is missing, or not met by then, has zeros."""
        table = np.full((len(rows), 1 + len(self._columns)), np.nan)
        for place, row in enumerate(rows):
            table[place, : len(row)] = row
        return answer_vectors(table[:, 0], table[:, 1:])
