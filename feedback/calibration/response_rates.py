"""How often people give a thumb to a good answer, and how often to a bad one: not at random, and that is found out."""

from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats
from highwayman.feedback.calibration.counts import CountTable

_PRIOR = 0.1  # of a cell's share of ups: Beta(1.1, 1.1) keeps it off 0 and 1
_STEPS = 200
_LEAST_THUMBS = 40.0
_WORST_DEVIATION = 0.6  # of a log rate, beyond which nothing was found out
OUTCOMES = 3  # up, down, none


@dataclass(frozen=True, slots=True, eq=False)
class ResponseRates:
    """The probability that an answer gets a thumb, if it is good and if it is bad, and that a thumb is flipped.

    `influence`, of a shape that broadcasts to (K, B, 3, 2), is what one answer with an outcome adds to the error of
    (log good, log bad).
    """

    good: float
    bad: float
    flip: float
    identified: bool  # False: too little is known, and both are the overall rate
    influence: Floats

    def outcome_probs(self) -> Floats:
        """Return the probability of an up, a down and no thumb, for a bad and for a good answer, (2, 3)."""
        return outcome_probs(self.good, self.bad, self.flip)


def outcome_probs(good: float, bad: float, flip: float) -> Floats:
    """Return the probability of an up, a down and no thumb, for a bad and for a good answer, (2, 3)."""
    return np.array([[bad * flip, bad * (1 - flip), 1 - bad], [good * (1 - flip), good * flip, 1 - good]])


def estimate_response_rates(cells: CountTable, *, flip: float) -> ResponseRates:
    """Return the maximum-likelihood estimate from thumbs in cells of different quality.

    In a cell of quality p, an answer gets an up with good*p*(1-flip) + bad*(1-p)*flip, and a down likewise; with p
    unknown in every cell, the rates at which ups and downs fall together from cell to cell tell `good` and `bad` apart.
    Cells are the bins of the scores, all arms together: a source whose scores spread quality is needed. Without scores
    (one bin) they are the arms, whose qualities must spread instead. Assumed is that, given whether an answer is good,
    a thumb depends on neither the arm nor the score. Fisher scoring on the logs of the rates and the log-odds of each
    cell's share of ups, not of its quality: held within [0, 1], qualities would bias the rates where thumbs are few.

    Args:
        cells: thumbs on answers that a source scored.
        flip: the probability that a thumb is the opposite of what its giver thinks, in [0, 0.5).

    Raises:
        ValueError: flip is out of range.
    """
    if not 0 <= flip < 0.5:
        raise ValueError(f"flip must be in [0, 0.5), got {flip!r}")
    shape = (*cells.scored.shape, OUTCOMES)
    answers, thumbs = float(cells.scored.sum()), cells.thumbs
    overall = min(max(thumbs / answers, 1e-6), 0.95) if answers else 0.5
    unknown = ResponseRates(overall, overall, flip, identified=False, influence=np.zeros((*shape, 2)))
    if thumbs < _LEAST_THUMBS:
        return unknown
    fit = _Fit(cells, flip, overall)
    if not fit.run():
        return unknown
    good, bad = np.exp(fit.logs)
    return ResponseRates(float(good), float(bad), flip, identified=True, influence=fit.influence())


class _Fit:
    """Newton's method on (log good, log bad) and the log-odds of the share of ups in every cell."""

    def __init__(self, cells: CountTable, flip: float, overall: float) -> None:
        none = cells.scored - cells.ups - cells.downs
        counts = np.stack([cells.ups, cells.downs, np.maximum(none, 0.0)], axis=-1)  # (K, B, 3)
        if counts.shape[1] > 1:
            counts = counts.sum(axis=0, keepdims=True)  # few thumbs in a cell would bias the rates
        self.counts = counts
        self.flip = flip
        self.logs = np.full(2, np.log(min(overall, 0.9)))  # alike, which is possible whatever the shares
        ups, downs = self.counts[..., 0], self.counts[..., 1]
        share = (ups + 1.0) / (ups + downs + 2.0)
        self.odds = np.log(share / (1.0 - share))  # (K, B)

    def run(self) -> bool:
        """Climb to the top; return whether it is one that says anything."""
        if not self._spread():
            return False
        value = self._value(self.logs, self.odds)
        for _ in range(_STEPS):
            step_logs, step_odds = self._step()
            scale = 1.0
            while scale > 1e-6:
                logs, odds = self.logs + scale * step_logs, self.odds + scale * step_odds
                new_value = self._value(logs, odds)
                if new_value >= value:
                    break
                scale /= 2
            else:
                break
            gained, value = new_value - value, new_value
            self.logs, self.odds = logs, odds
            if gained < 1e-9 * (1.0 + abs(value)):
                break
        deviations = np.sqrt(np.diag(self._covariance()))
        return bool(np.isfinite(deviations).all() and deviations.max() < _WORST_DEVIATION)

    def _spread(self) -> bool:
        """Return whether thumbs differ from cell to cell beyond chance: Pearson's chi-square at 3 deviations."""
        thumbs = self.counts[..., :2].reshape(-1, 2)
        thumbs = thumbs[thumbs.sum(axis=1) > 0]
        expected = thumbs.sum(axis=1, keepdims=True) * thumbs.sum(axis=0) / thumbs.sum()
        freedom = len(thumbs) - 1
        square = float(((thumbs - expected) ** 2 / np.maximum(expected, 1e-9)).sum())
        return freedom > 0 and square > freedom + 3.0 * np.sqrt(2.0 * freedom)

    def influence(self) -> Floats:
        """Return what one answer in each cell with each outcome adds to the error of the logs, (K, B, 3, 2)."""
        score_logs, score_odds = self._scores()
        _, cross, own = self._information()
        residual = score_logs - (cross / own[..., None])[:, :, None, :] * score_odds[..., None]
        influence: Floats = residual @ self._covariance().T
        return influence

    def _mixed(self, logs: Floats, odds: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the share of ups and the rate of thumbs (K, B), and the rate log's slopes (K, B, 3).

        With A / good + B / bad = 1 a cell's share settles its rate. A share is off 0 and 1 wherever thumbs are flipped,
        so an estimate may pass a quality of 0 or 1, as it must to be unbiased there. The slopes are in log good, log
        bad, and the share.
        """
        share = 1.0 / (1.0 + np.exp(-np.clip(odds, -30, 30)))
        good, bad = np.exp(logs)
        of_good, of_bad = (share - self.flip) / good, (1 - self.flip - share) / bad
        scale = of_good + of_bad  # (1 - 2 flip) / rate
        slopes = np.stack([of_good, of_bad, np.full_like(share, 1 / bad - 1 / good)], axis=-1) / scale[..., None]
        return share, (1 - 2 * self.flip) / scale, slopes

    def _value(self, logs: Floats, odds: Floats) -> float:
        share, rate, _ = self._mixed(logs, odds)
        if np.exp(logs).max() >= 0.999 or not (rate > 0).all() or rate.max() >= 0.999:
            return -np.inf
        chance = np.stack([rate * share, rate * (1 - share), 1 - rate], axis=-1)
        prior = _PRIOR * (np.log(share) + np.log1p(-share)).sum()
        return float((self.counts * np.log(chance)).sum() + prior)

    def _slopes(self) -> tuple[Floats, Floats, Floats]:
        """Return the chances, and their slopes in the logs (K, B, 3, 2) and in the log-odds (K, B, 3)."""
        share, rate, by = self._mixed(self.logs, self.odds)
        chance = np.stack([rate * share, rate * (1 - share), 1 - rate], axis=-1)
        moved = np.stack([rate * share, rate * (1 - share), -rate], axis=-1)  # as the log of the rate moves
        turned = rate[..., None] * np.array([1.0, -1.0, 0.0])  # as the share moves
        in_logs = moved[..., None] * by[..., None, :2]
        in_odds = (share * (1 - share))[..., None] * (moved * by[..., 2:] + turned)
        return chance, in_logs, in_odds

    def _scores(self) -> tuple[Floats, Floats]:
        """Return the slopes of one answer's log likelihood in the logs (K, B, 3, 2) and the log-odds (K, B, 3)."""
        chance, in_logs, in_odds = self._slopes()
        return in_logs / chance[..., None], in_odds / chance

    def _information(self) -> tuple[Floats, Floats, Floats]:
        """Return the expected information: of the logs (2, 2), of both (K, B, 2), of the log-odds (K, B)."""
        chance, in_logs, in_odds = self._slopes()
        answers = self.counts.sum(axis=-1)
        weights = answers[..., None] / chance
        share = 1.0 / (1.0 + np.exp(-self.odds))
        logs = np.einsum("kbo,kboi,kboj->ij", weights, in_logs, in_logs)
        both = np.einsum("kbo,kboi,kbo->kbi", weights, in_logs, in_odds)
        own = (weights * in_odds**2).sum(axis=-1) + 2 * _PRIOR * share * (1 - share)
        return logs, both, np.maximum(own, 1e-9)

    def _covariance(self) -> Floats:
        """Return the covariance of the logs, the cells' shares being unknown, (2, 2)."""
        logs, both, own = self._information()
        schur = logs - np.einsum("kbi,kbj->ij", both / own[..., None], both)
        covariance: Floats = (
            np.linalg.pinv(schur, hermitian=True) if np.linalg.det(schur) > 0 else np.full((2, 2), np.inf)
        )
        return covariance

    def _step(self) -> tuple[Floats, Floats]:
        """Return a step of Fisher scoring."""
        score_logs, score_odds = self._scores()
        share = 1.0 / (1.0 + np.exp(-self.odds))
        slope_logs = (self.counts[..., None] * score_logs).sum(axis=(0, 1, 2))
        slope_odds = (self.counts * score_odds).sum(axis=-1) + _PRIOR * (1 - 2 * share)
        logs, both, own = self._information()
        ratio = both / own[..., None]
        schur = logs - np.einsum("kbi,kbj->ij", ratio, both)
        reduced_slope = slope_logs - np.einsum("kbi,kb->i", ratio, slope_odds)
        step_logs = np.clip(np.linalg.lstsq(schur + 1e-9 * np.eye(2), reduced_slope, rcond=None)[0], -1.0, 1.0)
        step_odds = np.clip((slope_odds - both @ step_logs) / own, -2.0, 2.0)
        return step_logs, step_odds


def flip_rate(disagreements: float, pairs: float) -> tuple[float, float]:
    """Return the probability that a thumb is flipped, and its standard error, from pairs of thumbs on one answer.

    Two people who think alike disagree with probability 2 * flip * (1 - flip). Where people differ in what they think,
    that counts as flips, too. Raises ValueError without pairs.
    """
    if pairs <= 0:
        raise ValueError("need at least one pair of thumbs on the same answer")
    rate = min(max(disagreements, 0.0) / pairs, 0.4999)
    root = np.sqrt(1.0 - 2.0 * rate)
    return float((1.0 - root) / 2.0), float(np.sqrt(max(rate * (1 - rate), 1.0 / pairs**2) / pairs) / (2.0 * root))
