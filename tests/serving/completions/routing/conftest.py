"""One encoder for all routers of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from highwayman.env.encoder.encoder import Encoder, make_encoder
from tests.serving.completions.routing.routers import Routers


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    encoder = make_encoder(deadline_s=30.0)
    yield encoder
    encoder.close()


@pytest.fixture
def routers(encoder: Encoder, tmp_path: Path) -> Routers:
    return Routers(encoder, tmp_path)
