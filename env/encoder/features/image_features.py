"""What a request's images look like, as columns before the encoder's own: their form, and an engine's view of them."""

import base64
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from highwayman.env.class_paths import class_at
from highwayman.env.encoder.engines.pixel_engine import PixelEngine
from highwayman.env.encoder.engines.vision_engine import VisionEngine
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.encoder.features.row_cache import RowCache, text_digest
from highwayman.env.encoder.features.tags import IMAGES, MeasuredColumns
from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats

UNSEEN: Final = "image_unseen"  # the flag of a context whose images were not all looked at
MOST_SEEN: Final = 4  # images of a request that are looked at, the last ones
VIEWS: Final = 8  # axes of an engine's view
_VIEW_NORM: Final = 0.25  # as the shipped projections of texts have it (docs/explanation/encoder.md)
_FORM: Final = ("seen", "pixels", "width", "density")
_CACHED: Final = 256

ImageSize = Callable[[bytes], tuple[int, int] | None]  # width and height in pixels, from an image's first bytes


class ImageEngine(Protocol):
    """Turns images into vectors. `embed` blocks; it is called beside the event loop."""

    @property
    def fingerprint(self) -> str:
        """Its name and a hash of its assets: equal fingerprints give equal vectors, but for rounding."""

    @property
    def width(self) -> int:
        """Dimensions of a vector."""

    def embed(self, image: bytes) -> Floats | None:
        """Return an image's vector (width,) of length 1, None for what cannot be read."""


class ImagesSeen(NamedTuple):
    """What was seen of a request's images."""

    row: Floats  # (12,)
    is_whole: bool  # whether all of them were seen


class ImageFeatures:
    """The mean over a request's images; safe for several threads. Only digests of images are kept."""

    def __init__(self, engine: ImageEngine, size: ImageSize) -> None:
        """Take an engine, and what reads an image's size."""
        self._engine, self._size = engine, size
        self._projection = Projection.gaussian(engine.width, p=VIEWS)
        self._cache = RowCache(_CACHED)
        names = (*(f"image_{name}" for name in _FORM), *(f"image_{axis:02d}" for axis in range(VIEWS)))
        made_by = f"{engine.fingerprint}/{self._projection.fingerprint}"
        self.columns = MeasuredColumns(IMAGES, names, hashlib.blake2b(made_by.encode(), digest_size=4).hexdigest())

    def look(self, pictures: Sequence[str]) -> ImagesSeen:
        """Return what images look like, given as base64; an empty text is one of which only the address is known.

        Nothing is fetched: such an image, and one that is none, counts as unseen.
        """
        chosen = list(pictures[-MOST_SEEN:])
        seen = [row for picture in chosen if picture and (row := self._row(picture)) is not None]
        total = np.zeros(len(self.columns.names))
        if seen:
            total = np.mean(seen, axis=0)
            total[0] = sum(row[0] for row in seen) / len(chosen)
        return ImagesSeen(total, is_whole=len(pictures) == len(chosen) and total[0] == 1.0)

    def _row(self, picture: str) -> Floats | None:
        """Return the columns of one image, None for what is none; its view is zeros where it cannot be decoded."""
        try:
            key = text_digest(picture)
            cached = self._cache.get(key)
            if cached is not None:
                return cached
            data = base64.b64decode(picture)
        except ValueError:  # no base64, or half of a surrogate pair: not even a text
            return None
        size = self._size(data)
        if size is None:
            return None
        vector = self._engine.embed(data)
        view = np.zeros(VIEWS) if vector is None else _VIEW_NORM * self._projection.apply(vector[None])[0]
        row = np.concatenate([[float(vector is not None)], _form(size, len(data)), view])
        self._cache.put(key, row)
        return row


def _form(size: tuple[int, int], size_bytes: int) -> list[float]:
    """Return how large an image is, how much wider than high, and how much there is in it, each in [-1, 1]."""
    width, height = size
    pixels = width * height
    numbers = (
        math.log2(pixels / 2**18) / 6,  # 512 by 512 pixels: 0; 8 million: .8
        math.log2(width / height) / 3,
        math.log2(max(8 * size_bytes / pixels, 2**-6)) / 5,  # a bit a pixel: 0; a page of text less, a photograph more
    )
    return [min(max(number, -1.0), 1.0) for number in numbers]


def make_image_features(name: str, size: ImageSize, **options: Any) -> ImageFeatures:
    """Return what looks at images, by the name of its engine: `pixels`, `transformers`, or `module:Class`.

    `model`, `device` and `dtype` are for `transformers`; an engine of one's own gets what is given, as keywords. `size`
    reads an image's size from its first bytes.

    Raises:
        EncoderError: the name is unknown, or a library or an asset is missing.
    """
    if name == "transformers":
        if "model" not in options:
            raise EncoderError("image engine 'transformers' needs `model`, the folder or id of a vision encoder")
        return ImageFeatures(VisionEngine(**options), size)
    if name == "pixels":
        if options:
            raise EncoderError(f"image engine 'pixels' takes no {', '.join(options)}; only transformers does")
        return ImageFeatures(PixelEngine(), size)
    if ":" not in name:
        raise EncoderError(f"unknown image engine {name!r}: give pixels, transformers or module:Class")
    try:
        engine: ImageEngine = class_at(name)(**options)
    except (ImportError, AttributeError, TypeError) as error:
        raise EncoderError(f"image engine {name!r}: {error}") from error
    return ImageFeatures(engine, size)
