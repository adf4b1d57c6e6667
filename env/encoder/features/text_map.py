"""From an engine's embedding to what features have of it: its projection and its distances to clusters, at once."""

import math

import numpy as np

from highwayman.env.encoder.features.clusters import Clusters
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats


class TextMap:
    """`Projection.apply` and `Clusters.distances`, to 1e-12, by one product: each by itself takes as long to start."""

    def __init__(self, projection: Projection, clusters: Clusters | None) -> None:
        """Take the projection (w,) -> (p,), and the m clusters, if there are any."""
        self._p = projection.p
        columns, offsets = [projection.components], [-(projection.mean @ projection.components)]
        if clusters is not None:
            columns.append(-2.0 * clusters.text.T)
            offsets.append(clusters.distances(np.zeros((1, projection.width)))[0])
        self._columns = np.concatenate(columns, axis=1)  # (w, p + m)
        self._offsets = np.concatenate(offsets)  # (p + m,)

    def apply(self, embeddings: Floats) -> Floats:
        """Return the projections and, behind them, the distances, (n, w) -> (n, p + m); a row of zeros stays at 0.

        Raises:
            EncoderError: a number is not finite.
        """
        squares = np.vecdot(embeddings, embeddings).tolist()  # of the rows' lengths: 0 where nothing is known of a text
        if not math.isfinite(sum(squares)):
            raise EncoderError("an embedding is not finite")
        rows: Floats = embeddings.dot(self._columns)
        rows += self._offsets
        if 0.0 in squares:
            rows[[square == 0.0 for square in squares], : self._p] = 0.0
        return rows
