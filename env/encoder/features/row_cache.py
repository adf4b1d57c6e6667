"""The features of the texts seen last, by digest: no text is kept."""

import hashlib
import threading
from collections import OrderedDict

from highwayman.env.types import Floats


class RowCache:
    """The rows of the texts seen last, by digest; safe for several threads."""

    def __init__(self, size: int) -> None:
        """Take how many rows are kept; the one not asked for the longest goes first."""
        self._size = size
        self._rows: OrderedDict[bytes, Floats] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Floats | None:
        """Return the row of the text with this digest, None where it is not kept."""
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                self._rows.move_to_end(key)
            return row

    def put(self, key: bytes, row: Floats) -> None:
        """Keep the row of the text with this digest."""
        with self._lock:
            self._rows[key] = row
            if len(self._rows) > self._size:
                self._rows.popitem(last=False)


def text_digest(text: str) -> bytes:
    """Return what a text is known by here. Raises UnicodeEncodeError for half of a surrogate pair."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()
