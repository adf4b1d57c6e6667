"""Centres of clusters, the same for the same points."""

import numpy as np

from highwayman.env.types import Floats


def k_means_centres(points: Floats, m: int, *, rounds: int = 20) -> Floats:
    """Return m centres (m, d) of points (n, d); fewer where there are fewer different points.

    Lloyd 1957, started at the mean's nearest point and then, one by one, at the point farthest from all centres so far
    (Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985): nothing is drawn.
    """
    first = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())
    chosen, squares = [first], ((points - points[first]) ** 2).sum(axis=1)
    while len(chosen) < m and squares.max() > 0:
        chosen.append(int(squares.argmax()))
        squares = np.minimum(squares, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    centres = points[chosen].copy()
    for _ in range(rounds):
        at = nearest(points, centres)
        moved = np.array(
            [points[at == k].mean(axis=0) if (at == k).any() else centre for k, centre in enumerate(centres)]
        )
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def nearest(points: Floats, centres: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return which centre each point (n, d) is nearest to, (n,); the first of equally near ones."""
    squares = (centres**2).sum(axis=1) - 2.0 * points @ centres.T
    return np.asarray(squares.argmin(axis=1), dtype=np.intp)
