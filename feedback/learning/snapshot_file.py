"""A published version as one file: checked by its sum, readable without Redis."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from highwayman.bandit import snapshot
from highwayman.env.atomic_write import write_atomically
from highwayman.env.errors import SnapshotError
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.fold.rollbacks import VoidedRange
from highwayman.feedback.learning.publications import Published, VersionStamp

_KIND = "published"


def write_snapshot(path: Path, published: Published, *, lineage: str) -> None:
    """Write the version to `path`, whole or not at all, readable by the owner only. Raises OSError.

    Its policy may have been left out; what is beside it is kept alone then.
    """
    header = {
        **{"kind": _KIND, "lineage": lineage, "at": published.at, "version": published.stamp.version},
        **{"holder": published.stamp.holder, "position": published.snapshot.position},
        "policy_digest": published.policy_digest,
        "rollbacks": [asdict(span) for span in published.snapshot.rollbacks],
    }
    arrays = {
        "policy": np.frombuffer(published.snapshot.policy, np.uint8),
        "tally": np.frombuffer(published.snapshot.tally, np.uint8),
    }
    write_atomically(path, snapshot.pack(header, arrays), private=True)


def read_snapshot(path: Path, *, lineage: str | None = None) -> Published:
    """Return the version in the file `path`.

    Raises:
        SnapshotError: the file cannot be read, is damaged, or was learned by another `lineage`.
    """
    try:
        header, arrays = snapshot.unpack(path.read_bytes())
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from error
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from error
    if header.get("kind") != _KIND:
        raise SnapshotError(f"{path}: holds {header.get('kind')!r}, not a published version")
    if lineage is not None and header["lineage"] != lineage:
        raise SnapshotError(
            f"{path}: learned by lineage {header['lineage']}, this configuration's is {lineage}: "
            "another policy, other options, another encoder or other metrics"
        )
    rollbacks = tuple(VoidedRange(**void) for void in header["rollbacks"])
    state = Snapshot(str(header["position"]), arrays["policy"].tobytes(), arrays["tally"].tobytes(), rollbacks)
    stamp = VersionStamp(int(header["version"]), str(header["holder"]))
    return Published(stamp, state, float(header["at"]), str(header.get("policy_digest", "")))
