"""Images opened for an engine: small, in colour, and never larger than may be decoded."""

from importlib import import_module
from io import BytesIO
from typing import Any, Final

import numpy as np

from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF")
_MOST_PIXELS: Final = 4_000_000  # of an image that is decoded: .2 s for a PNG; of a JPEG an eighth of each side is


class PictureReader:
    """Decodes images with Pillow. Raises EncoderError where that is missing."""

    def __init__(self) -> None:
        try:
            self._pillow: Any = import_module("PIL.Image")
        except ImportError as error:
            raise EncoderError(f"{error}: pip install 'highwayman[images]'") from error

    def pixels(self, data: bytes, *, side: int) -> Floats | None:
        """Return an image's pixels in [0, 1], (side, side, 3); None for what is none, or too large to be decoded."""
        try:
            with self._pillow.open(BytesIO(data), formats=_FORMATS) as image:
                image.draft("RGB", (2 * side, 2 * side))  # of JPEG only: decoded at a fraction of its size
                if image.width * image.height > _MOST_PIXELS:
                    return None
                small = image.convert("RGB").resize((side, side), resample=self._pillow.Resampling.BOX)
                return np.asarray(small, dtype=np.float64) / 255.0
        except Exception:  # OSError, SyntaxError, ValueError and its own were met; Pillow's decoders promise no list
            return None
