"""Learned state as bytes: a JSON header and named arrays, with a checksum. No pickle, nothing that executes."""

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from highwayman.env.errors import SnapshotError

SCHEMA = 1
_MAGIC = b"HWYM"
_HEAD = struct.Struct(">4sH32sI")  # magic, schema, sha256 of all that follows, length of the JSON header

Arrays = Mapping[str, np.ndarray[Any, np.dtype[Any]]]


def pack(header: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Return one snapshot; equal content gives equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: np.asarray(arrays[name], order="C") for name in sorted(arrays)})
    head = json.dumps(dict(header), sort_keys=True).encode()
    body = head + buffer.getvalue()
    return _HEAD.pack(_MAGIC, SCHEMA, hashlib.sha256(body).digest(), len(head)) + body


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, np.dtype[Any]]]]:
    """Return the header and the arrays of a snapshot.

    Raises:
        SnapshotError: not a snapshot, another schema, damaged bytes, or an array with a number that is not finite.
    """
    if len(data) < _HEAD.size or data[:4] != _MAGIC:
        raise SnapshotError("not a Highwayman snapshot: it does not start with HWYM")
    _, schema, digest, head_length = _HEAD.unpack_from(data)
    if schema != SCHEMA:
        raise SnapshotError(f"snapshot has schema {schema}, this version reads {SCHEMA}")
    body = data[_HEAD.size :]
    if hashlib.sha256(body).digest() != digest:
        raise SnapshotError("snapshot is damaged: its checksum does not match")
    try:
        header: dict[str, Any] = json.loads(body[:head_length])
        with np.load(io.BytesIO(body[head_length:]), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SnapshotError("snapshot is whole, but what it holds is no header and arrays") from error
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise SnapshotError(f"snapshot holds a number in {name!r} that is not finite")
    return header, arrays
