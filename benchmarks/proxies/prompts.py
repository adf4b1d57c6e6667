"""Prompts that never come twice: common words as often as English has them, and now and then a new one."""

import random
from collections.abc import Iterator
from itertools import accumulate

from highwayman.env.encoder.engines.static_engine import ASSETS

_NEW_WORD_EVERY = 20
_LETTERS = "etaoinshrdlu"


def prompts(seed: int, *, words: int = 56) -> Iterator[str]:
    """Yield prompts of about 60 word pieces.

    The encoder's vocabulary has its words by falling frequency, so a word is drawn with a probability that falls with
    its rank (Zipf, 1935). A cache of words helps here as much as on real text; one of whole prompts does not help.
    """
    rng = random.Random(seed)
    pieces = (ASSETS / "static_vocab.txt").read_text(encoding="utf-8").split("\n")
    common = [piece for piece in pieces if len(piece) > 1 and piece.isascii() and piece.isalpha()]
    weights = list(accumulate(1 / rank for rank in range(1, len(common) + 1)))
    while True:
        drawn = rng.choices(common, cum_weights=weights, k=words)
        for place in range(0, words, _NEW_WORD_EVERY):
            drawn[place] = "".join(rng.choices(_LETTERS, k=7))
        yield " ".join(drawn)
