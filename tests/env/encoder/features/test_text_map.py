"""One product for a text's projection and its distances gives what the two give apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.encoder.features.clusters import Clusters
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.encoder.features.text_map import TextMap


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 5), kinds=st.integers(0, 6))
def test_rows_are_the_projection_and_behind_it_the_distances(seed: int, rows: int, kinds: int) -> None:
    rng = np.random.default_rng(seed)
    mean, components = rng.normal(size=7), rng.normal(size=(7, 3))
    projection = Projection.from_arrays(mean, components, name="pca")
    clusters = Clusters.from_centres(rng.normal(size=(kinds, 7)), rng.normal(size=(kinds, 2))) if kinds else None
    embeddings = rng.normal(size=(rows, 7)) * (rng.random((rows, 1)) < 0.7)  # some of no known word
    parts = [projection.apply(embeddings), *([] if clusters is None else [clusters.distances(embeddings)])]
    assert TextMap(projection, clusters).apply(embeddings) == pytest.approx(np.concatenate(parts, axis=1), abs=1e-12)
