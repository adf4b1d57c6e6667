"""How near a query is to each kind of query there is: on such features a linear policy can learn a table of means."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from zipfile import BadZipFile

import numpy as np

from highwayman.env.errors import EncoderError
from highwayman.env.types import Context, Floats

_M = re.compile(r"near-(\d+)-")  # in a fingerprint
SHARPNESS: Final = 4.0  # memberships are in proportion to exp(-SHARPNESS * squared distance)


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """m centres in the space of an embedding (w,) and the numeric features (q,) beside it, none of them scaled."""

    text: Floats  # (m, w)
    numbers: Floats  # (m, q)
    fingerprint: str
    _squares: Floats = field(init=False, repr=False)  # (m,) of the centres' lengths
    _twice_text: Floats = field(init=False, repr=False)  # (w, m)
    _twice_numbers: Floats = field(init=False, repr=False)  # (m, q)
    _ones: Floats = field(init=False, repr=False)  # (m,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_squares", (self.text**2).sum(axis=1) + (self.numbers**2).sum(axis=1))
        object.__setattr__(self, "_twice_text", 2.0 * self.text.T)
        object.__setattr__(self, "_twice_numbers", 2.0 * self.numbers)
        object.__setattr__(self, "_ones", np.ones(len(self.text)))

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return the clusters stored in an npz file as `centres_text` and `centres_numbers`; None: it has none.

        Raises:
            EncoderError: the file is missing, damaged, or its arrays do not fit each other.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if "centres_text" not in arrays:
                    return None
                return cls.from_centres(arrays["centres_text"], arrays["centres_numbers"])
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise EncoderError(f"clusters {path}: {error}. Make them with scripts/make_projection.py") from error

    @classmethod
    def from_centres(cls, text: Floats, numbers: Floats) -> Self:
        """Return the clusters with these centres, their fingerprint their number and hash. Raises ValueError."""
        if text.ndim != 2 or numbers.ndim != 2 or len(text) != len(numbers) or not len(text):
            raise ValueError(f"centres {text.shape} and {numbers.shape} must be (m, w) and (m, q)")
        if not (np.isfinite(text).all() and np.isfinite(numbers).all()):
            raise ValueError("centres must be finite")
        rounded = np.concatenate([text, numbers], axis=1).astype(np.float32)
        digest = hashlib.blake2b(rounded.tobytes(), digest_size=4).hexdigest()
        exact, width = rounded.astype(np.float64), text.shape[1]
        return cls(exact[:, :width].copy(), exact[:, width:].copy(), f"near-{len(text)}-{digest}")

    @property
    def m(self) -> int:
        """The number of clusters."""
        return len(self.text)

    def distances(self, embeddings: Floats) -> Floats:
        """Return the text's part of the squared distances to the centres, (n, w) -> (n, m).

        The query's own square is left out: it is the same for all centres, and memberships are of differences.
        """
        distances: Floats = self._squares - embeddings @ self._twice_text
        return distances

    def memberships(self, distances: Floats, numbers: Floats) -> Floats:
        """Return how much a query belongs to each cluster, beyond an equal share: (m,), sums to 0.

        Args:
            distances: the text's part of the squared distances, (m,).
            numbers: the query's numeric features, (q,).
        """
        squares: Floats = distances - self._twice_numbers.dot(numbers)
        # In place, and least and sum by what starts quickest: there are few numbers.
        squares -= squares[squares.argmin()]
        squares *= -SHARPNESS
        shares: Floats = np.exp(squares, out=squares)
        shares /= shares.dot(self._ones)
        shares -= 1.0 / len(shares)
        return shares


def cluster_count(fingerprint: str) -> int:
    """Return how many clusters features of this fingerprint are told by, 0 where they say nothing of any."""
    match = _M.search(fingerprint)
    return int(match[1]) if match is not None else 0


def cluster_of(context: Context) -> int:
    """Return which cluster a query is nearest to, 0 where its features say nothing of clusters."""
    m = cluster_count(context.fingerprint)
    if not 0 < m < len(context.features):
        return 0
    return int(context.features[-1 - m : -1].argmax())
