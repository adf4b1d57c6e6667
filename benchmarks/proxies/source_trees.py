"""A revision's files, in a folder of their own."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from benchmarks.proxies.peers.highwayman import SourceTree

_WHERE = "import highwayman; print(highwayman.__file__)"


def source_tree(revision: str, folder: Path) -> SourceTree:
    """Return the sources of a revision, put into an empty folder; of a folder that is named, as they are.

    The repository itself is only read. Raises ValueError: git knows no such revision,
    or the interpreter would take the router from elsewhere.
    """
    root = Path(revision).resolve()
    if not root.is_dir():
        root = folder.resolve()
        argv = ["git", "-C", str(SourceTree().root), "archive", "--format=tar", revision]
        packed = subprocess.run(argv, check=False, capture_output=True)  # noqa: S603
        if packed.returncode:
            raise ValueError(f"{revision}: {packed.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(root, filter="data")
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    argv = [sys.executable, "-P", "-c", _WHERE]
    where = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout.strip()  # noqa: S603
    if not Path(where).resolve().is_relative_to(root):
        raise ValueError(f"{revision}: Python takes highwayman from {where}, not from {root / 'src'}")
    return SourceTree(revision, root)
