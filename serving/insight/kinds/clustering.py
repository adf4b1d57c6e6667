"""Queries grouped by what their features say of their text, and laid out in two dimensions; n queries."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from highwayman.bandit.models.k_means import k_means_centres, nearest
from highwayman.env.types import Floats

_MOST: Final = 8  # groups
_LEAST: Final = 3
_SAMPLE: Final = 1_000  # queries that their number is chosen by
_AS_GOOD: Final = 0.03  # of the silhouette, by which a number of groups may fall short of the best one
_FORM_SHARE: Final = 0.05  # of the numbers that say what a query's form is, beside its text

Labels = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class FeatureColumns:
    """Which columns of an encoder's features say what a text is about, and which what its form is."""

    text: tuple[int, ...]
    form: tuple[int, ...]

    @classmethod
    def of(cls, names: tuple[str, ...], *, own: int) -> "FeatureColumns":
        """Return them by an encoder's names of columns, of which those before `own` are of tags and images."""
        text = tuple(k for k, name in enumerate(names) if k >= own and name.startswith("text_"))
        other = [k for k, name in enumerate(names) if k >= own and not name.startswith(("text_", "near_", "images_"))]
        return cls(text, tuple(other[:-1]))  # but for the one

    def points(self, features: Floats) -> Floats:
        """Return features (n, d) as points (n, q) whose distances say how like queries are."""
        return np.concatenate([features[:, self.text], _FORM_SHARE * features[:, self.form]], axis=1)


def group(points: Floats, *, rng: np.random.Generator) -> Labels:
    """Return in which group each of the points (n, q) is, (n,): 0, 1, ..., the largest group first.

    k-means, with 3 to 8 groups by the silhouette (Rousseeuw, "Silhouettes", J. Comput. Appl. Math. 1987), taken to the
    centres (Vendramin, Campello & Hruschka, "Relative clustering validity criteria", 2010): of the numbers that are
    about as good as the best, the largest, as fine kinds tell more. `rng` draws the sample by which it is chosen.
    """
    n = len(points)
    if n <= _MOST:
        return np.zeros(n, dtype=np.intp)
    sample = points if n <= _SAMPLE else points[rng.choice(n, _SAMPLE, replace=False)]
    tried = [k_means_centres(sample, k) for k in range(_LEAST, _MOST + 1)]
    scores = [_silhouette(sample, centres) for centres in tried]
    enough = max(scores) - _AS_GOOD
    centres = max((centres for centres, score in zip(tried, scores, strict=True) if score >= enough), key=len)
    labels = nearest(points, centres)
    counts = np.bincount(labels, minlength=len(centres))
    order = np.argsort(-counts, kind="stable")
    ranks = np.empty(len(centres), dtype=np.intp)
    ranks[order] = np.arange(len(centres))
    return ranks[labels]


def _silhouette(points: Floats, centres: Floats) -> float:
    if len(centres) < 2:
        return -1.0
    squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2.0 * points @ centres.T
    distances = np.sqrt(np.maximum(squares, 0.0))
    distances.partition(1, axis=1)
    own, other = distances[:, 0], distances[:, 1]
    return float(((other - own) / np.maximum(other, 1e-12)).mean())


def laid_out(points: Floats) -> Floats:
    """Return points (n, q) in two dimensions, (n, 2): their first two principal components.

    Of each direction, the sign is that by which its largest part is positive: the same points lie the same way.
    """
    if len(points) < 2:
        return np.zeros((len(points), 2))
    centred = points - points.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :2]
    places = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[places, np.arange(axes.shape[1])])
    flat: Floats = centred @ axes
    return flat if flat.shape[1] == 2 else np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
