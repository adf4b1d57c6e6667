"""The default engine: a table with one vector per word piece, averaged over the text. No network runs."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from highwayman.env.encoder.engines.word_pieces import WordPieces
from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats

ASSETS = Path(__file__).parent / "assets"


class StaticEngine:
    """Sums of int8 rows, scaled and L2-normalised; safe to call from several threads.

    Tulkens & van Dongen, "Model2Vec", 2024: the vectors are a sentence transformer's outputs for single tokens, reduced
    by PCA and weighted down for common words. Word order is lost; `scripts/make_static_table.py` makes the table.
    The table is memory-mapped: the processes of one machine share its pages.
    """

    inline: Final = True  # a prompt of 64 tokens takes some 30 us

    def __init__(self, folder: Path = ASSETS) -> None:
        """Open the table, its scales and its vocabulary in `folder`.

        Raises:
            EncoderError: a file is missing or damaged, or they do not fit each other.
        """
        try:
            self._table: npt.NDArray[np.int8] = np.load(folder / "static_table.npy", mmap_mode="r", allow_pickle=False)
            self._scales: npt.NDArray[np.float32] = np.load(folder / "static_scales.npy", allow_pickle=False)
            pieces = (folder / "static_vocab.txt").read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError, EOFError) as error:
            raise EncoderError(f"static table in {folder}: {error}. scripts/make_static_table.py makes one") from error
        if not (self._table.ndim == 2 and len(self._table) == len(self._scales) == len(pieces)):
            raise EncoderError(
                f"static table in {folder}: {self._table.shape} rows, {len(self._scales)} scales, "
                f"{len(pieces)} word pieces; all three must have one length"
            )
        self.width = int(self._table.shape[1])  # dimensions of an embedding
        self._rows = self._table.view(np.ndarray)  # the same pages, without what a memmap asks itself at every access
        self._pieces = WordPieces(pieces)
        digest = hashlib.blake2b(self._rows.data, digest_size=4)  # as it lies: the heap would keep the room of a copy
        digest.update(self._scales.data)
        self.fingerprint = f"static-{self.width}-{digest.hexdigest()}"

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return the embeddings of `texts`, shape (n, width), each of length 1, or 0 where no word piece is known."""
        rows = np.empty((len(texts), self.width))
        for place, text in enumerate(texts):
            ids = self._pieces.ids(text)
            # `dot`, as for one vector `@` takes longer to start than to multiply.
            row = rows[place]
            row[:] = self._scales.take(ids).dot(self._rows.take(ids, axis=0))  # in float32
            length = math.sqrt(row.dot(row))
            if length > 0:
                row /= length
        return rows
