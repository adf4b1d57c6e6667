"""RouteLLM's measures of a router between a weak and a strong arm, by the share of calls that the strong one gets.

Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", 2024 (arXiv 2406.18665). They are undefined for
more than two arms, where no single share says what was spent. `aiq` generalises them: with two arms whose calls cost
the same whatever is asked, cost is linear in the share, and a concave curve's APGR is (AIQ - weak) / (strong - weak).
"""

import numpy as np

from highwayman.env.types import Floats

_SHARES = 10


def pgr(quality: Floats | float, *, weak: float, strong: float) -> Floats:
    """Return the Performance Gap Recovered, (quality - weak) / (strong - weak), in the shape of `quality`.

    0 at the weak arm's quality, 1 at the strong one's, above 1 where routing beats both; NaN where the strong arm is
    not the better one and there is no gap.
    """
    if not strong > weak:
        return np.full(np.shape(quality), np.nan)
    return np.asarray((np.asarray(quality) - weak) / (strong - weak), dtype=np.float64)


def quality_by_share(gain: Floats, weak: Floats, strong: Floats, shares: Floats) -> Floats:
    """Return the mean quality (m,) where shares of the prompts go to the strong arm, those of the largest gain first.

    A share that splits a prompt draws for that prompt: the curve is linear between two prompts. Prompts of equal gain
    go in their order, so a gain that does not tell prompts apart should be shuffled.

    Args:
        gain: (n,) what the strong arm is expected to be better by on each prompt; only their order counts.
        weak: (n,) quality of the weak arm's answers.
        strong: (n,) of the strong arm's.
        shares: (m,) in [0, 1].
    """
    order = np.argsort(-gain, kind="stable")
    earned = np.concatenate([[0.0], np.cumsum((strong - weak)[order])])  # (n + 1,) by so many calls
    return np.asarray(weak.mean() + np.interp(shares * len(gain), np.arange(len(gain) + 1), earned) / len(gain))


def apgr(share: Floats, quality: Floats, *, weak: float, strong: float) -> float:
    """Return the Average Performance Gap Recovered: the mean PGR at ten equally spaced shares of strong calls.

    The paper's sum approximates the area under PGR over the share. It leaves open which ten shares: we take the middles
    of ten equal stretches (0.05, 0.15 ... 0.95), with which a router that draws at random has 0.5 exactly, as it has in
    the paper; with 0.1, 0.2 ... 1.0 it would have 0.55. Between settings, and from them to always weak and always
    strong, the curve is linear.

    Args:
        share: (m,) of calls that went to the strong arm at each setting, in [0, 1].
        quality: (m,) mean quality at each.
        weak: mean quality of the weak arm.
        strong: mean quality of the strong arm.
    """
    shares, gaps = _curve(share, quality, weak, strong)
    middles = (np.arange(_SHARES) + 0.5) / _SHARES
    return float(np.interp(middles, shares, gaps).mean())


def cpt(level: float, share: Floats, quality: Floats, *, weak: float, strong: float) -> float:
    """Return the Call-Performance Threshold: the least share of strong calls with which PGR reaches `level`.

    CPT(50%) of the paper is level 0.5. Never above 1 for a level up to 1, since always strong recovers everything; NaN
    for a level that no setting reaches, and where there is no gap. Other arguments as in `apgr`.
    """
    shares, gaps = _curve(share, quality, weak, strong)
    reached = np.flatnonzero(gaps >= level - 1e-12)
    if not len(reached):
        return float("nan")
    first = int(reached[0])
    if first == 0:
        return 0.0
    part = (level - gaps[first - 1]) / (gaps[first] - gaps[first - 1])
    return float(shares[first - 1] + min(part, 1.0) * (shares[first] - shares[first - 1]))


def _curve(share: Floats, quality: Floats, weak: float, strong: float) -> tuple[Floats, Floats]:
    inner = (share > 0) & (share < 1)
    shares = np.unique(share[inner])
    best = [float(quality[share == each].max()) for each in shares]  # of settings with equal shares, the best
    gaps = pgr(np.array([weak, *best, strong]), weak=weak, strong=strong)
    return np.concatenate([[0.0], shares, [1.0]]), gaps
