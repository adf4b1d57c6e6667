"""What thumbs and scores together say of each arm's quality, with intervals that know what is not known."""

from dataclasses import dataclass, replace

import numpy as np

from highwayman.env.types import Floats
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.response_rates import ResponseRates, outcome_probs

_Z95 = 1.959963984540054
_RATIO_SPREAD = np.log(4.0) / _Z95  # of log bad over good where nobody knows: up to four times either way, at 95%
_FEW_THUMBS = 3.0  # that say too little of how loud an arm's users are
_LEAST_LOUDNESS = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class QualityEstimates:
    """The mean quality of K arms' answers. Every array is (K,)."""

    value: Floats
    stderr: Floats
    covariance: Floats  # (K, K)

    @property
    def low(self) -> Floats:
        """The lower ends of 95% intervals."""
        return self.value - _Z95 * self.stderr

    @property
    def high(self) -> Floats:
        """The upper ends."""
        return self.value + _Z95 * self.stderr


def ppi_estimates(cells: CountTable, rates: ResponseRates) -> QualityEstimates:
    """Return each arm's mean quality by prediction-powered inference on thumbs that are given selectively.

    Angelopoulos, Bates, Fannjiang, Jordan & Zrnic, "Prediction-powered inference", Science 2023: the mean of a
    prediction over all answers, plus the mean error of the prediction where people spoke. Here people speak more often
    of some answers than of others, and err; so the error is weighted by the inverse of the probability of speaking, and
    set right for flips (Horvitz & Thompson, JASA 1952): an up counts w1 and a down w0, chosen such that their
    expectation is 1 - m for a good answer and -m for a bad one. The prediction m of a score is the one that leaves
    least variance, from what thumbs say of all arms' answers with this score (as PPI++ tunes its power, arXiv
    2311.01453); that it is biased for an arm does no harm. The mean error is divided not by the arm's answers but by
    as many as its thumbs stand for, inversely weighted likewise (Hajek 1971): that an arm's users give more thumbs of
    both kinds than another's says nothing of its answers. Intervals include the error of the rates of giving, which may
    be four times apart either way where they could not be told; they are for large samples.

    Args:
        cells: of K arms.
        rates: the rates of giving, estimated from the same cells.
    """
    prediction = _predictions(pooled_quality(cells, rates), rates)
    counts = np.stack([cells.ups, cells.downs, cells.scored - cells.ups - cells.downs], axis=-1)
    answers = np.maximum(cells.scored.sum(axis=1), 1e-12)
    value, own = _means(counts, answers, prediction, rates)
    slopes = _slopes(counts, answers, prediction, rates)  # (K, 2)
    # An answer's influence on arm k: its own point, if it is the arm's, and through the rates, whosever it is.
    everywhere = np.broadcast_to(rates.influence, (*counts.shape, 2))
    through = np.einsum("ki,jboi->kjbo", slopes, everywhere)
    arms = np.arange(len(cells.arms))
    through[arms, arms] += own
    covariance = np.einsum("jbo,kjbo,ljbo->kl", counts, through, through)
    if not rates.identified:
        ratio_slope = (
            slopes[:, 1] - slopes[:, 0]
        ) / 2.0  # as bad answers get more of the same thumbs, and good ones fewer
        covariance += _RATIO_SPREAD**2 * np.outer(ratio_slope, ratio_slope)
    stderr = np.sqrt(np.maximum(np.diag(covariance), _least_variance(cells)))
    return QualityEstimates(value, stderr, covariance)


def _least_variance(cells: CountTable) -> Floats:
    """Return what a mean of so many thumbs varies at least, (K,): a handful that agree are not certain.

    Agresti & Coull, The American Statistician 1998: two ups and two downs more.
    """
    ups, thumbs = cells.ups.sum(axis=1), (cells.ups + cells.downs).sum(axis=1)
    share = (ups + 2.0) / (thumbs + 4.0)
    variance: Floats = share * (1.0 - share) / (thumbs + 4.0)
    return variance


def naive_mean(cells: CountTable) -> Floats:
    """Return the plain average of all scores and all thumbs of each arm, (K,): what one would do without a thought."""
    total = cells.score.sum(axis=1) + cells.ups.sum(axis=1)
    means: Floats = total / np.maximum(
        cells.scored.sum(axis=1) + cells.ups.sum(axis=1) + cells.downs.sum(axis=1), 1e-12
    )
    return means


def pooled_quality(cells: CountTable, rates: ResponseRates) -> Floats:
    """Return what thumbs say of the quality of answers with each score, all arms together, (B,), smooth and rising."""
    ups, downs, scored = (counts.sum(axis=0) for counts in (cells.ups, cells.downs, cells.scored))
    good = np.maximum((1 - rates.flip) * ups - rates.flip * downs, 0.0) / rates.good
    bad = np.maximum((1 - rates.flip) * downs - rates.flip * ups, 0.0) / rates.bad
    overall = good.sum() / max(good.sum() + bad.sum(), 1e-12) if good.sum() + bad.sum() > 0 else 0.5
    few = 5.0 / max(rates.good, 1e-6)  # thumbs' worth of what holds for all scores
    return _rising((good + few * overall) / (good + bad + few), scored + few)


def _rising(values: Floats, weights: Floats) -> Floats:
    """Return the rising sequence that is nearest by weighted squares: pool adjacent violators."""
    blocks: list[list[float]] = []  # value, weight, length
    for value, weight in zip(values, weights, strict=True):
        blocks.append([float(value), float(weight), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (v1, w1, n1), (v2, w2, n2) = blocks[-2:]
            blocks[-2:] = [[(v1 * w1 + v2 * w2) / (w1 + w2), w1 + w2, n1 + n2]]
    return np.concatenate([np.full(int(length), value) for value, _, length in blocks])


def _predictions(quality: Floats, rates: ResponseRates) -> Floats:
    """Return the prediction that leaves least variance where answers have this quality, (B,), flips included."""
    table = rates.outcome_probs()  # (bad and good, 3)
    chance = (1 - quality)[:, None] * table[0] + quality[:, None] * table[1]  # (B, 3)
    at_0, at_1 = _points(np.array([0.0, 1.0]), rates.good, rates.bad, rates.flip)  # (3,) each
    by_m = at_1 - at_0
    prediction: Floats = -(chance * at_0 * by_m).sum(axis=1) / np.maximum((chance * by_m**2).sum(axis=1), 1e-12)
    return np.clip(prediction, 0.0, 1.0)


def _means(counts: Floats, answers: Floats, prediction: Floats, rates: ResponseRates) -> tuple[Floats, Floats]:
    """Return each arm's mean quality (K,), and what one more answer moves it by, by its score and thumb, (K, B, 3)."""
    errors = _points(prediction, rates.good, rates.bad, rates.flip) - prediction[:, None]  # (B, 3)
    standing_for = _loudness_points(rates)  # (3,)
    few = _FEW_THUMBS / max(rates.good, 1e-6)  # answers' worth of what holds for all arms
    loudness = np.maximum(((counts * standing_for).sum(axis=(1, 2)) + few) / (answers + few), _LEAST_LOUDNESS)
    error = (counts * errors).sum(axis=(1, 2)) / (answers * loudness)
    value = (counts * prediction[:, None]).sum(axis=(1, 2)) / answers + error
    louder = (standing_for - loudness[:, None]) / (answers + few)[:, None]  # (K, 3)
    own = (prediction[:, None] + errors / loudness[:, None, None] - value[:, None, None]) / answers[:, None, None]
    return value, own - (error / loudness)[:, None, None] * louder[:, None, :]


def _loudness_points(rates: ResponseRates) -> Floats:
    """Return how many answers, good or bad, an up, a down and no thumb stand for, (3,)."""
    return np.append(np.linalg.solve(rates.outcome_probs()[:, :2], np.ones(2)), 0.0)


def _points(prediction: Floats, good: float, bad: float, flip: float) -> Floats:
    """Return what an answer with an up, a down or no thumb adds to its arm's sum, by the bin of its score, (B, 3)."""
    table = outcome_probs(good, bad, flip)[:, :2]  # (bad and good, up and down)
    targets = np.stack([-prediction, 1.0 - prediction])  # (2, B)
    weights = np.linalg.solve(table, targets)  # (up and down, B)
    return np.concatenate([prediction + weights, prediction[None]]).T


def _slopes(counts: Floats, answers: Floats, prediction: Floats, rates: ResponseRates) -> Floats:
    """Return how each arm's value moves with (log good, log bad), (K, 2), by central differences."""
    slopes, step = [], 1e-4
    for shift in ((step, 0.0), (0.0, step)):
        ends = []
        for sign in (1.0, -1.0):
            good, bad = rates.good * np.exp(sign * shift[0]), rates.bad * np.exp(sign * shift[1])
            ends.append(_means(counts, answers, prediction, replace(rates, good=good, bad=bad))[0])
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return np.stack(slopes, axis=1)
