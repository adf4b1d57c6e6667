from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.encoder.encoder import Encoder, make_encoder
from highwayman.env.encoder.engines.static_engine import ASSETS
from highwayman.env.encoder.features.clusters import Clusters
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.errors import EncoderError
from highwayman.env.types import Query

TWO = Clusters.from_centres(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0], [1.0]]))


def near(embedding: list[float], number: float) -> list[float]:
    distances = TWO.distances(np.array([embedding]))[0]
    found: list[float] = TWO.memberships(distances, np.array([number])).tolist()
    return found


def test_memberships_are_in_proportion_to_how_near_the_centres_are() -> None:
    # Squared distances 0 and 2 + 1: exp(-4 * 3) of the first one's share.
    second = np.exp(-12.0) / (1 + np.exp(-12.0))
    assert near([1.0, 0.0], 0.0) == pytest.approx([0.5 - second, second - 0.5])


def test_a_query_between_two_centres_belongs_to_both_alike() -> None:
    assert near([0.5, 0.5], 0.5) == pytest.approx([0.0, 0.0])


def test_memberships_are_those_of_squared_differences_taken_one_by_one() -> None:
    rng = np.random.default_rng(0)
    text, numbers, embedding, number = (rng.normal(size=shape) for shape in ((9, 5), (9, 3), (1, 5), 3))
    clusters = Clusters.from_centres(text, numbers)
    squares = ((clusters.text - embedding) ** 2).sum(axis=1) + ((clusters.numbers - number) ** 2).sum(axis=1)
    slow = np.exp(-4 * squares) / np.exp(-4 * squares).sum() - 1 / 9
    assert clusters.memberships(clusters.distances(embedding)[0], number) == pytest.approx(slow, abs=1e-12)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=2), st.floats(-1, 1))
def test_memberships_sum_to_nothing(embedding: list[float], number: float) -> None:
    assert sum(near(embedding, number)) == pytest.approx(0.0, abs=1e-12)


def test_clusters_survive_their_file_and_a_file_without_any_has_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", centres_text=TWO.text, centres_numbers=TWO.numbers)
    loaded = Clusters.load(tmp_path / "c.npz")
    assert loaded is not None
    assert loaded.fingerprint == TWO.fingerprint
    np.savez(tmp_path / "none.npz", mean=np.zeros(2))
    assert Clusters.load(tmp_path / "none.npz") is None


@pytest.mark.parametrize(
    ("text", "numbers"), [(np.zeros((2, 1)), np.zeros((3, 1))), (np.full((1, 1), np.nan), np.zeros((1, 1)))]
)
def test_centres_that_cannot_be_are_refused(tmp_path: Path, text: np.ndarray, numbers: np.ndarray) -> None:
    np.savez(tmp_path / "c.npz", centres_text=text, centres_numbers=numbers)
    with pytest.raises(EncoderError, match="make_projection"):
        Clusters.load(tmp_path / "c.npz")


def test_clusters_of_another_engine_are_refused() -> None:
    engine = make_encoder("static")._engine
    with pytest.raises(EncoderError, match="clusters take 2 dimensions"):
        Encoder(engine, Projection.load(ASSETS / "projection_static.npz"), clusters=TWO)


def test_the_shipped_clusters_tell_code_from_trivia() -> None:
    encoder = make_encoder("static")
    texts = ["Write a Python function that reverses a list.", "Write a function to sort a list of tuples in Python.",
             "Who wrote the novel Dracula?", "Who painted the Mona Lisa?"]  # fmt: skip
    kinds = [name for name in encoder.names if name.startswith("near_")]
    found = np.array([context.features for context in encoder.encode_many([Query(text, len(text)) for text in texts])])
    most = found[:, [encoder.names.index(kind) for kind in kinds]].argmax(axis=1)
    assert most[0] == most[1] != most[2] == most[3]
