from pathlib import Path

import numpy as np
import pytest

from highwayman.env.encoder.engines.static_engine import ASSETS
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.errors import EncoderError


def test_a_projection_subtracts_the_mean_and_multiplies() -> None:
    projection = Projection.from_arrays(np.array([1.0, 0.0]), np.array([[2.0], [3.0]]), name="hand")
    assert projection.apply(np.array([[2.0, 1.0], [1.0, 0.0]])) == pytest.approx(np.array([[5.0], [0.0]]))


def test_an_embedding_of_zeros_stays_zeros_whatever_the_mean() -> None:
    projection = Projection.from_arrays(np.array([1.0, 0.0]), np.array([[2.0], [3.0]]), name="hand")
    assert projection.apply(np.zeros((1, 2))).tolist() == [[0.0]]


def test_a_random_projection_is_the_same_for_the_same_seed_only() -> None:
    first, again, other = (Projection.gaussian(50, p=8, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert np.array_equal(first.components, again.components)


def test_a_random_projection_about_keeps_lengths() -> None:
    texts = np.eye(400)[:50]
    lengths = np.linalg.norm(Projection.gaussian(400, p=32).apply(texts), axis=1)
    assert lengths.mean() == pytest.approx(1, abs=0.1)


def test_a_projection_survives_its_file(tmp_path: Path) -> None:
    made = Projection.gaussian(6, p=2)
    np.savez(tmp_path / "p.npz", mean=made.mean, components=made.components)
    loaded = Projection.load(tmp_path / "p.npz")
    assert np.array_equal(loaded.components, made.components)
    assert (loaded.width, loaded.p) == (6, 2)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_a_damaged_file_is_an_encoder_error_that_names_the_script(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(EncoderError, match="make_projection"):
        Projection.load(tmp_path / "p.npz")


def test_a_missing_file_arrays_that_do_not_fit_and_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="nowhere"):
        Projection.load(tmp_path / "nowhere.npz")
    for mean, components in ((np.zeros(3), np.zeros((2, 1))), (np.array([np.nan]), np.zeros((1, 1)))):
        np.savez(tmp_path / "p.npz", mean=mean, components=components)
        with pytest.raises(EncoderError, match="must be"):
            Projection.load(tmp_path / "p.npz")


def test_a_pickle_in_the_file_is_never_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", mean=np.array([object()]), components=np.zeros((1, 1)))
    with pytest.raises(EncoderError, match="allow_pickle"):
        Projection.load(tmp_path / "p.npz")


@pytest.mark.parametrize(("name", "width"), [("projection_static.npz", 240), ("projection_minilm.npz", 384)])
def test_the_shipped_projections_leave_room_for_the_other_features(name: str, width: int) -> None:
    projection = Projection.load(ASSETS / name)
    assert (projection.width, projection.p) == (width, 16)
