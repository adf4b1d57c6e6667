"""Hashes of session ids: a session's fold, bucket and bootstrap weights, whatever order its rounds come in."""

from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def hashed(keys: npt.NDArray[Any], *, salt: int) -> Hashes:
    """Return 64 well-mixed bits for each key (any shape of integers); another `salt`, other and independent bits.

    The output function of SplitMix64 (Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA
    2014). It draws nothing, so it gives the same bits in every process, in every order, and for every cut into chunks.
    """
    bits = keys.astype(np.uint64)
    bits *= np.uint64(_GOLDEN)
    bits += np.uint64((salt * 0xD1342543DE82EF95 + _GOLDEN) & _MASK)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        bits ^= bits >> np.uint64(shift)
        bits *= factor
    bits ^= bits >> np.uint64(31)
    return bits
