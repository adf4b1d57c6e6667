"""From an engine's wide embedding to the few dimensions that a linear policy can learn from a few hundred answers."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np

from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """An affine map: (embedding - mean) @ components."""

    mean: Floats  # (w,)
    components: Floats  # (w, p)
    fingerprint: str

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the projection stored in an npz file with `mean` (w,) and `components` (w, p).

        Raises:
            EncoderError: the file is missing, damaged, or its arrays do not fit each other.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls.from_arrays(arrays["mean"], arrays["components"], name="pca")
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise EncoderError(f"projection {path}: {error}. Make one with scripts/make_projection.py") from error

    @classmethod
    def gaussian(cls, width: int, *, p: int, seed: int = 0) -> Self:
        """Return a random projection for an engine that none was fitted for: the same for the same arguments.

        Johnson & Lindenstrauss, 1984: distances are kept up to about sqrt(8 ln(n) / p). That is worse than a fitted
        projection, most of all for embeddings that share a large mean, which a random map cannot subtract.
        """
        rng = np.random.default_rng(seed)
        components = rng.standard_normal((width, p)) / np.sqrt(p)
        return cls.from_arrays(np.zeros(width), components, name=f"gauss{seed}")

    @classmethod
    def from_arrays(cls, mean: Floats, components: Floats, *, name: str) -> Self:
        """Return the projection made of these arrays, its fingerprint their kind, size and hash."""
        if mean.ndim != 1 or components.ndim != 2 or len(mean) != len(components):
            raise ValueError(f"mean {mean.shape} and components {components.shape} must be (w,) and (w, p)")
        if not (np.isfinite(mean).all() and np.isfinite(components).all()):
            raise ValueError("mean and components must be finite")
        rounded = np.concatenate([mean[:, None], components], axis=1).astype(np.float32)  # (w, 1 + p)
        digest = hashlib.blake2b(rounded.tobytes(), digest_size=4).hexdigest()
        exact = rounded.astype(np.float64)
        return cls(exact[:, 0], exact[:, 1:], f"{name}-{components.shape[1]}-{digest}")

    @property
    def width(self) -> int:
        """Dimensions of the embeddings it takes."""
        return len(self.mean)

    @property
    def p(self) -> int:
        """Dimensions it returns."""
        return int(self.components.shape[1])

    def apply(self, embeddings: Floats) -> Floats:
        """Return the projected embeddings, (n, w) -> (n, p).

        A row of zeros (a text without any known word) stays zeros: that is the average prompt, not an extreme one.
        """
        known = embeddings.any(axis=1, keepdims=True)
        projected: Floats = ((embeddings - self.mean) * known) @ self.components
        return projected
