"""The default engine for images: their pixels, in a thumbnail. No network runs."""

import numpy as np

from highwayman.env.encoder.engines.pictures import PictureReader
from highwayman.env.types import Floats

_SIDE = 16  # pixels of a thumbnail


class PixelEngine:
    """Thumbnails as vectors: they tell a page from a photograph and a chart from a screenshot, not a cat from a dog."""

    fingerprint = f"pixels-{_SIDE}"
    width = 3 * _SIDE * _SIDE

    def __init__(self) -> None:
        """Find Pillow. Raises EncoderError where it is missing."""
        self._reader = PictureReader()

    def embed(self, image: bytes) -> Floats | None:
        """Return an image's vector (768,) of length 1, None for what cannot be read."""
        pixels = self._reader.pixels(image, side=_SIDE)
        if pixels is None:
            return None
        centred = 2.0 * pixels.ravel() - 1.0
        length = float(np.linalg.norm(centred))
        return centred / length if length > 0 else centred
